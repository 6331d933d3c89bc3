from integration.conftest import actwise

__all__ = ["actwise"]
