"""What a worker imports before its first trial; once that is done, collecting garbage is cheap.

Nothing that an import makes is ever garbage, but the collector would look at all of it again and
again: for a fifth of the imports' own time, and then for 0.2 s at the end of every trial.
"""

import gc

gc.disable()
try:
    import ray.tune  # noqa: F401

    import rxtune.search.trial
    import rxtune.train.evaluate
    import rxtune.train.predictions
    import rxtune.train.save  # noqa: F401
finally:
    gc.freeze()
    gc.enable()
