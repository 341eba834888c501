"""From how many seeds which statement is made; docs/statistics.md says why."""

INTERVAL_FROM = 2  # seeds: standard deviation and t-interval
TESTS_FROM = 6  # common seeds: paired t and Wilcoxon, the first that Wilcoxon can decide at 5 %
BOOTSTRAP_FROM = 10  # seeds: BCa bootstrap interval of the mean
DATA_SETS_FROM = 10  # independent data sets: a critical-difference diagram
EXAMPLES_FROM = 20  # test examples: bootstrap over them

CONFIDENCE = 0.95  # of every interval
ALPHA = 0.05  # of every family of tests
POWER = 0.80  # that the number of seeds needed is for

MEAN_RESAMPLES = 9999  # of the values of a summary
EXAMPLE_RESAMPLES = 2000  # of test examples: each calls the task's metric
BOOTSTRAP_SEED = 0  # fixed, so that a table made twice is the same
