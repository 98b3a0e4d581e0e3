//! Promise 3: of the outcomes of a claim one is accepted at most, and of those that end a job one, too.

use super::Count;
use super::facts::Facts;

pub(super) fn check(facts: &Facts<'_>, count: &mut Count) {
    for (id, job) in &facts.jobs {
        let may_be_lost = facts.may_be_lost(job);
        for run in job.runs.values() {
            count.checked += 1;
            let accepted: Vec<String> = job
                .accepted()
                .filter(|(of, _)| of.token == run.token)
                .map(|(_, outcome)| format!("{} at {}", outcome.end.state(), facts.time(outcome.at)))
                .collect();
            if accepted.len() > 1 {
                let text = format!("job {id}, claim {}: accepted {}", run.token, accepted.join(" and "));
                count.wrong(may_be_lost, text);
            }
            if run.begun.len() > 1 {
                let times: Vec<String> = run.begun.iter().map(|at| facts.time(*at)).collect();
                let text = format!("job {id}, claim {}: was run at {}", run.token, times.join(" and at "));
                count.wrong(may_be_lost, text);
            }
        }
        let ends: Vec<String> = job
            .accepted()
            .filter(|(_, outcome)| outcome.end.is_final())
            .map(|(run, outcome)| {
                let (end, process, at) = (outcome.end.state(), run.process, facts.time(outcome.at));
                format!("`{end}` of claim {} (attempt {}, {process}) at {at}", run.token, run.attempt)
            })
            .collect();
        if ends.len() > 1 {
            count.wrong(may_be_lost, format!("job {id}: accepted {}", ends.join(" and ")));
        }
    }
}
