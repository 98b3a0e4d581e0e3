"""Prints one table of all findings in a folder: table.py FOLDER."""
import csv, statistics, sys
from pathlib import Path

TOLERANCE = 3 * 3600  # seconds between a shift and the change found
SETTLED = 24 * 3600  # seconds of a series after its shift for it to count as findable
DAY = 86400
WEEK = 7 * DAY


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def main(folder):
    truth = {row["name"]: (int(row["percent"]), int(row["shift_at"] or 0)) for row in rows(folder / "truth.csv")}
    spans = {}
    for name in truth:
        series = rows(folder / "series" / f"{name}.csv")
        spans[name] = (int(series[0]["at"]), int(series[-1]["at"]))
    print(f"{'method':34} size  series  found  missed  alarms  place  | told  delay    p90  | alarms of growing prefixes")
    print(f"{'':34}                              /week    min  |        min    min  | /week, from the third day on")
    for path in sorted(folder.glob("offline-*.csv")):
        method = path.stem.removeprefix("offline-")
        print_method(folder, method, truth, spans, rows(path))


def print_method(folder, method, truth, spans, found):
    by_name = {}
    for row in found:
        by_name.setdefault(row["name"], []).append((int(row["at"]), float(row["sign"])))
    online_path, alarms_path = folder / f"online-{method}.csv", folder / f"alarms-{method}.csv"
    online = rows(online_path) if online_path.exists() else []
    for percent in sorted({percent for percent, _ in truth.values()}):
        names = [name for name in truth if truth[name][0] == percent]
        hits, settled, alarms, errors = 0, 0, 0, []
        for name in names:
            changes = by_name.get(name, [])
            shift = truth[name][1]
            near = [abs(at - shift) for at, _ in changes if shift and abs(at - shift) <= TOLERANCE]
            alarms += len(changes) - len(near[:1])
            if shift and spans[name][1] - shift >= SETTLED:
                settled += 1
                hits += bool(near)
                errors += [min(near)] if near else []
        weeks = sum(spans[name][1] - spans[name][0] for name in names) / WEEK
        text = f"{method:34} {percent:2} %  {len(names):6}"
        if percent and settled:
            found = 100 * hits / settled
            place = statistics.median(errors or [0]) / 60
            text += f"  {found:3.0f} %   {100 - found:3.0f} %  {alarms / weeks:6.3f}  {place:5.0f}  |"
            minutes = [int(row["delay"] or 10**9) / 60 for row in online if truth[row["name"]][0] == percent]
            if minutes:
                minutes.sort()
                told = sum(delay < 10**6 for delay in minutes) / len(minutes)
                at = [minutes[len(minutes) // 2], minutes[len(minutes) * 9 // 10]]
                shown = [f"{delay:6.0f}" if delay < 10**6 else " never" for delay in at]
                text += f" {100 * told:3.0f} %  {shown[0]}  {shown[1]}  |"
        elif not percent:
            text += f"                 {alarms / weeks:6.3f}         |"
            if alarms_path.exists():
                weeks = sum(spans[name][1] - spans[name][0] - 2 * DAY for name in names) / WEEK
                ages = [int(row["told_at"]) - spans[row["name"]][0] for row in rows(alarms_path)]
                late = sum(age >= 2 * DAY for age in ages)
                text += f"                      | {late / weeks:.3f} ({late} in {weeks:.0f} weeks; {len(ages) - late} on second days)"
        print(text)


main(Path(sys.argv[1]))
