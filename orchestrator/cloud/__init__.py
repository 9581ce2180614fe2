"""The same run on workers of dask.distributed (extra ``cloud``); no other package imports the engine."""
