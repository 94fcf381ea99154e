"""The error of a search without a result."""


class SearchFailed(RuntimeError):
    """Trials failed, or the processes that ran them died; what is finished stays on disk.

    Example:

    ```python
    try:
        tune(options, "searches/mnist", workers=2)
    except SearchFailed as error:
        print(error)
    ```
    """
