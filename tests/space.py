"""A small space that is a whole study; what several rooms' tests search."""

SPACE = """\
space:
  method: {choice: [standard, rs_rp]}
  sigma: {log_uniform: [0.1, 3.0], when: {method: [rs_rp]}}
  learning_rate: {log_uniform: [0.3, 3.0]}
search: {trials: 6}
"""
