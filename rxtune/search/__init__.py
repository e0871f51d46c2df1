"""The search: Ray Tune executes, Optuna proposes and stops, the journal remembers."""
