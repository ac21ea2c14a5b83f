"""The estimators: `box_regressor`, what it is built on, and what is done with one."""
