from onnxgraph.devices import execution_provider, torch_device


def test_the_processor_is_always_there() -> None:
    assert execution_provider(cuda=False) == "CPUExecutionProvider"


def test_a_library_without_cuda_says_that_it_computes_on_the_processor() -> None:
    # Where there is a GPU both say CUDA; what they must not do is to differ or to fail.
    places = (torch_device(), execution_provider(cuda=True))
    assert places in {("cpu", "CPUExecutionProvider"), ("cuda", "CUDAExecutionProvider")}
