"""The constants in the tests: what pymannkendall 1.4.3, scipy 1.17.1 and ruptures 1.1.10 say of a fixed series.

The series comes from a small generator of integers that the tests have as well, so that no data has to be kept.
"""
import numpy as np
import pymannkendall
import ruptures
import scipy.stats


def pseudo_random(count, seed):
    state, values = seed, []
    for _ in range(count):
        state = (state * 1_103_515_245 + 12_345) % 2**31
        values.append(state / 2**31 - 0.5)
    return np.array(values)


def autocorrelated(count, seed, correlation):
    values, state = [], 0.0
    for innovation in pseudo_random(count, seed):
        state = correlation * state + innovation
        values.append(state)
    return np.array(values)


for name, values in [
    ("independent, slope 0.02", pseudo_random(60, 1) + 0.02 * np.arange(60)),
    ("correlation 0.8, slope 0.01", autocorrelated(120, 7, 0.8) + 0.01 * np.arange(120)),
    ("ties", np.round(4 * (pseudo_random(80, 3) + 0.01 * np.arange(80)))),
]:
    print(name)
    print("  hamed_rao", pymannkendall.hamed_rao_modification_test(values))
    print("  original ", pymannkendall.original_test(values))
    print("  theilslopes", scipy.stats.theilslopes(values, np.arange(len(values)), 0.95))

values = pseudo_random(250, 11) + np.repeat([0.0, 1.0, 0.3, 1.5], [60, 60, 80, 50])
for penalty in [10.0, 3.0, 1.0, 0.4, 0.2]:
    fitted = ruptures.Pelt(model="l2", min_size=12, jump=1).fit(values)
    kernel = ruptures.KernelCPD(kernel="linear", min_size=12).fit(values)
    print("Pelt l2", penalty, fitted.predict(pen=penalty), [int(end) for end in kernel.predict(pen=penalty)])
values = pseudo_random(30, 5)
print("ttest_ind", scipy.stats.ttest_ind(values, values + 0.4))
