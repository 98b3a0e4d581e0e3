//! A report for terminals: in lines of at most 100 characters, with small charts.

use std::fmt::{Result, Write};

use chrono::{DateTime, Utc};
use dogwatch_chart::sparkline;
use dogwatch_store::{EndpointTiming, TrendDirection};

use super::Report;

const WIDTH: usize = 100;

impl Report {
    /// The report for terminals.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> Result {
        let minute = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M");
        writeln!(out, "{}, {} to {} UTC", self.title, minute(self.window_start), minute(self.window_end))?;
        if let Some(missing) = self.missing() {
            writeln!(out)?;
            for line in folded(&missing, WIDTH) {
                writeln!(out, "{line}")?;
            }
        }
        self.write_requests(out)?;
        self.write_changes(out)?;
        self.write_endpoints(out)?;
        self.write_queries(out)?;
        self.write_services(out)?;
        self.write_alerts(out)?;
        self.write_machines(out)
    }

    fn write_requests(&self, out: &mut String) -> Result {
        let (now, before) = (&self.requests, &self.requests_before);
        writeln!(out, "\nRequests")?;
        if now.count == 0 {
            return writeln!(out, "  none");
        }
        let share = |errors: i64, count: i64| 100.0 * errors as f64 / (count as f64).max(1.0);
        writeln!(out, "  {:<12} {:>12} {:>12} {:>9}", "", "now", "before", "change")?;
        let mut row = |name: &str, now: Option<f64>, before: Option<f64>, digits: usize| {
            let figure = |value: Option<f64>| {
                value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
            };
            let change = now.zip(before).filter(|(_, before)| *before > 0.0);
            let change = change.map(|(now, before)| format!("{:+.0} %", 100.0 * (now / before - 1.0)));
            let change = change.unwrap_or_default();
            let line = format!("  {name:<12} {:>12} {:>12} {change:>9}", figure(now), figure(before));
            writeln!(out, "{}", line.trim_end())
        };
        let had_any = before.count > 0;
        row("requests", Some(now.count as f64), had_any.then_some(before.count as f64), 0)?;
        row(
            "failed, %",
            Some(share(now.errors, now.count)),
            had_any.then(|| share(before.errors, before.count)),
            2,
        )?;
        for (name, now, before) in [
            ("p50, ms", now.p50_ms, before.p50_ms),
            ("p95, ms", now.p95_ms, before.p95_ms),
            ("p99, ms", now.p99_ms, before.p99_ms),
        ] {
            row(name, now, before, 0)?;
        }
        let series = |of: fn(&super::Step) -> Option<f64>| {
            let line = sparkline(&self.history.iter().map(of).collect::<Vec<_>>());
            line.trim_end().to_owned()
        };
        writeln!(out, "\n  requests     {}", series(|step| Some(step.per_minute)))?;
        writeln!(out, "  failed       {}", series(|step| step.error_rate))?;
        writeln!(out, "  p95          {}", series(|step| step.p95_ms))
    }

    fn write_changes(&self, out: &mut String) -> Result {
        if !self.changes.is_empty() {
            writeln!(out, "\nWhat changed")?;
        }
        for change in &self.changes {
            let mut mark = match change.direction {
                TrendDirection::Worse => "-",
                TrendDirection::Better => "+",
            };
            for line in folded(&change.sentence, WIDTH - 4) {
                writeln!(out, "  {mark} {line}")?;
                mark = " ";
            }
        }
        Ok(())
    }

    fn write_endpoints(&self, out: &mut String) -> Result {
        if !self.slowest_endpoints.is_empty() {
            writeln!(
                out,
                "\nSlowest endpoints\n  {:>8} {:>9} {:>8}  endpoint",
                "p95 ms", "requests", "failed"
            )?;
        }
        for EndpointTiming { service, method, endpoint, count, errors, p95_ms, .. } in &self.slowest_endpoints
        {
            writeln!(
                out,
                "  {p95_ms:>8.0} {count:>9} {errors:>8}  {}",
                short(&format!("{service} {method} {endpoint}"), 69)
            )?;
        }
        if !self.slower_endpoints.is_empty() {
            writeln!(out, "\nBecame slower\n  {:>8} {:>9} {:>8}  endpoint", "p95 ms", "before", "change")?;
        }
        for slower in &self.slower_endpoints {
            let change = 100.0 * (slower.p95_ms / slower.p95_ms_before - 1.0);
            let name = short(&format!("{} {}", slower.service, slower.endpoint), 69);
            writeln!(
                out,
                "  {:>8.0} {:>9.0} {:>+6.0} %  {name}",
                slower.p95_ms, slower.p95_ms_before, change
            )?;
        }
        Ok(())
    }

    fn write_queries(&self, out: &mut String) -> Result {
        if self.costly_queries.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nMost expensive queries\n  {:>6} {:>9} {:>9}  query", "share", "calls", "mean ms")?;
        for query in &self.costly_queries {
            let text = short(&query.text, 69);
            writeln!(
                out,
                "  {:>4.0} % {:>9} {:>9.1}  {text}",
                query.share * 100.0,
                query.calls,
                query.mean_ms
            )?;
        }
        Ok(())
    }

    fn write_services(&self, out: &mut String) -> Result {
        writeln!(out, "\nServices")?;
        if self.services.is_empty() {
            writeln!(out, "  none checked")?;
        }
        for service in &self.services {
            let up = service.uptime.map(|up| format!("{:.2} % up", up * 100.0)).unwrap_or_default();
            let why = service.health.error.as_deref().unwrap_or_default();
            let line = format!(
                "  {:<28} {:<10} {up:<14} {why}",
                short(&service.health.service, 28),
                service.health.state.to_string()
            );
            writeln!(out, "{}", short(line.trim_end(), WIDTH))?;
        }
        Ok(())
    }

    fn write_alerts(&self, out: &mut String) -> Result {
        let times = &self.alert_times;
        writeln!(out, "\nAlerts")?;
        if times.count == 0 {
            return writeln!(out, "  none");
        }
        let mean = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), length);
        writeln!(
            out,
            "  {} in all, {} open; acknowledged after {}, resolved after {} on average",
            times.count,
            times.open,
            mean(times.to_acknowledge_s),
            mean(times.to_resolve_s)
        )?;
        for alert in self.alerts.iter().take(20) {
            let (severity, status) = (alert.severity.to_string(), alert.status.to_string());
            let line = format!("  {severity:<8} {status:<12} {} ({}x)", alert.title, alert.occurrences);
            writeln!(out, "{}", short(&line, WIDTH))?;
        }
        if self.alerts.len() > 20 {
            writeln!(out, "  … and {} more", self.alerts.len() - 20)?;
        }
        Ok(())
    }

    fn write_machines(&self, out: &mut String) -> Result {
        writeln!(out, "\nMachines")?;
        if self.hosts.is_empty() {
            writeln!(out, "  no samples")?;
        }
        for host in &self.hosts {
            writeln!(
                out,
                "  {:<28} CPU {:.0} % (at most {:.0} %), memory {:.0} %",
                short(&host.host, 28),
                host.cpu_percent_mean,
                host.cpu_percent_max,
                host.memory_percent_mean
            )?;
        }
        for disk in &self.disks {
            let full = self.full_in_days(&disk.host, &disk.mount);
            let full = full.map(|days| format!(", full in {days:.0} days")).unwrap_or_default();
            let gigabytes = disk.total_bytes as f64 / 1e9;
            let name = short(&format!("{} {}", disk.host, disk.mount), 28);
            writeln!(out, "  {name:<28} {:.0} % of {gigabytes:.0} GB{full}", disk.used_percent)?;
        }
        Ok(())
    }

    /// Days until a disk is full, where that is within a year.
    pub(super) fn full_in_days(&self, host: &str, mount: &str) -> Option<f64> {
        let growth = self.disk_growth.iter().find(|growth| growth.host == host && growth.mount == mount)?;
        growth.full_in_days.filter(|days| *days < 365.0)
    }
}

/// A time in two units: `4 min`, `2.5 h`.
pub(super) fn length(seconds: f64) -> String {
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

/// In lines of at most so many characters, where words allow.
fn folded(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let length = lines[last].chars().count() + 1 + word.chars().count();
        if lines[last].is_empty() {
            lines[last].push_str(word);
        } else if length <= most {
            lines[last].push(' ');
            lines[last].push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}
