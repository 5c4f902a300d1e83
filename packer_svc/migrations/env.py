"""Alembic's entry: migrates the connection that the starting service opened."""

from packer_svc.store.tables import Base
from svckit.database import KitBase, run_migrations

run_migrations([Base.metadata, KitBase.metadata])
