"""Runs ruptures' PELT and Binseg on a folder of series: ruptures_peer.py FOLDER.

Each runs on the logarithms, as they are ("raw") and less the median of each half hour of the day ("season"), with the
usual penalty (BIC: 2 * variance * log(n), with the variance from the median absolute deviation of the differences) and
with that penalty times the factor that scores the best F1 on these very series ("oracle"). "10 %" leaves out what is
smaller than that, as Dogwatch does. PELT is `KernelCPD` with the linear kernel, which is ruptures' PELT with model
l2 in C. Of `rbf` the usual penalty is log(n). Delays are of PELT only: Binseg and rbf take a second per prefix.
"""
import csv, sys
from pathlib import Path

import numpy as np
import ruptures

TOLERANCE = 3 * 3600
FACTORS = [1, 4, 8, 16, 32, 64, 128, 256]
MIN_SIZE = 10  # points of a segment at least; Dogwatch has 12
STEP, FIRST_PREFIX, LAST_PREFIX = 300, 288, 576
EVERY = 6  # points between growing prefixes


def read(folder):
    with open(folder / "truth.csv") as file:
        for row in csv.DictReader(file):
            data = np.loadtxt(folder / "series" / f"{row['name']}.csv", delimiter=",", skiprows=1)
            yield row["name"], int(row["shift_at"] or 0), data[:, 0].astype(int), np.log(data[:, 1])


def without_season(times, values):
    half_hours = times % 86400 // 1800
    medians = np.array([np.median(values[half_hours == each]) if (half_hours == each).any() else 0 for each in range(48)])
    return values - medians[half_hours]


def bic(values):
    differences = np.diff(values)
    deviation = 1.4826 * np.median(np.abs(differences - np.median(differences))) / np.sqrt(2)
    return 2 * deviation**2 * np.log(len(values))


def pelt(values):
    fitted = ruptures.KernelCPD(kernel="linear", min_size=MIN_SIZE).fit(values)
    # The cost of the linear kernel is the sum of squares.
    return lambda factor: fitted.predict(pen=factor * bic(values))


def binseg(values):
    fitted = ruptures.Binseg(model="l2", min_size=MIN_SIZE).fit(values)
    return lambda factor: fitted.predict(pen=factor * bic(values))


def rbf(values):
    fitted = ruptures.KernelCPD(kernel="rbf", min_size=MIN_SIZE).fit(values)
    return lambda factor: fitted.predict(pen=factor * np.log(len(values)))


def changes(predict, factor, times, values):
    ends = predict(factor)
    means = [values[start:end].mean() for start, end in zip([0, *ends], ends)]
    return [(times[end], after - before) for end, before, after in zip(ends, means, means[1:])]


def f1(series, found):
    hits = alarms = shifts = 0
    for name, shift, _, _ in series:
        near = sum(abs(at - shift) <= TOLERANCE for at, _ in found[name])
        hits, alarms, shifts = hits + (near > 0), alarms + len(found[name]) - (near > 0), shifts + (shift > 0)
    return 2 * hits / (hits + alarms + shifts)


def write(path, header, lines):
    path.write_text("\n".join([header, *lines]) + "\n")


def run(folder, series, name, method, factors, season):
    prepared = {each: without_season(times, values) if season else values for each, _, times, values in series}
    by_factor = {factor: {} for factor in factors}
    for each, _, times, _ in series:
        predict = method(prepared[each])
        for factor in factors:
            by_factor[factor][each] = changes(predict, factor, times, prepared[each])
    save(folder, f"{name} usual", by_factor[factors[0]])
    large = {each: [change for change in found if abs(change[1]) >= np.log(1.1)] for each, found in by_factor[factors[0]].items()}
    save(folder, f"{name} usual, 10 %", large)
    if len(factors) > 1:
        best = max(factors, key=lambda factor: f1(series, by_factor[factor]))
        title = f"{name} oracle x{best}"
        save(folder, title, by_factor[best])
        if method is not pelt:
            return
        delays = [f"{each},{delay(method, best, shift, times, values)}" for each, shift, times, values in series
                  if shift and (times < shift).sum() + FIRST_PREFIX <= len(times)]
        write(folder / f"online-{title}.csv", "name,delay", delays)


def save(folder, title, found):
    lines = [f"{each},{at},{np.sign(size)}" for each, changes in found.items() for at, size in changes]
    write(folder / f"offline-{title}.csv", "name,at,sign", lines)


def delay(method, factor, shift, times, values):
    """Seconds from the shift until a growing prefix tells of it, to the next half hour."""
    after = (times < shift).sum()
    for length in range(after + EVERY, min(len(times), after + LAST_PREFIX) + 1, EVERY):
        prefix = without_season(times[:length], values[:length])
        found = changes(method(prefix), factor, times[:length], prefix)
        if any(abs(at - shift) <= TOLERANCE for at, _ in found):
            return times[length - 1] + STEP - shift
    return ""


def main(folder):
    for old in [*folder.glob("offline-ruptures*"), *folder.glob("online-ruptures*")]:
        old.unlink()
    series = list(read(folder))
    run(folder, series, "ruptures PELT raw", pelt, [1], False)
    run(folder, series, "ruptures PELT season", pelt, FACTORS, True)
    run(folder, series, "ruptures Binseg season", binseg, FACTORS, True)
    run(folder, series, "ruptures rbf season", rbf, [1], True)
    run(folder, series, "ruptures Binseg raw", binseg, [1], False)


main(Path(sys.argv[1]))
