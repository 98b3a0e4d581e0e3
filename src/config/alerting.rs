//! Rules, routes and mutes of the settings, checked together: a route names channels, a rule may stand for one that is
//! always there.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use dogwatch_alerting::{InhibitSettings, Matcher, Routing, Rule};
use dogwatch_jobs::{Alerting, ServiceTarget};
use secrecy::ExposeSecret;

use super::Config;

impl Config {
    /// What alerts go by.
    ///
    /// # Errors
    /// The key that is wrong, and what would be right.
    pub fn alerting(&self) -> Result<Alerting, (String, String)> {
        for (index, maintenance) in self.maintenance.iter().enumerate() {
            maintenance.validate().map_err(|(key, reason)| (format!("maintenance.{index}.{key}"), reason))?;
        }
        let matchers =
            self.routes.iter().enumerate().map(|(n, it)| (format!("routes.{n}.match"), &it.matcher));
        let of_maintenance = self.maintenance.iter().enumerate();
        let matchers =
            matchers.chain(of_maintenance.map(|(n, it)| (format!("maintenance.{n}.match"), &it.matcher)));
        let inhibitions = self.inhibit.iter().enumerate().flat_map(|(n, it)| {
            [(format!("inhibit.{n}.source"), &it.source), (format!("inhibit.{n}.target"), &it.target)]
        });
        for (key, matcher) in matchers.chain(inhibitions) {
            matcher.check().map_err(|reason| (key, reason))?;
        }
        let channels = self.notify.min_severities();
        let known = || channels.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        for (index, quiet) in self.quiet_hours.iter().enumerate() {
            if let Some(unknown) = quiet.channels.iter().find(|name| !channels.contains_key(*name)) {
                let reason = format!("no channel is named `{unknown}`; there are: {}", known());
                return Err((format!("quiet_hours.{index}.channels"), reason));
            }
        }
        let routing = Routing::new(self.routes.clone(), channels.clone());
        if let Some((index, unknown)) = routing.unknown_channel() {
            let reason = format!("no channel is named `{unknown}`; there are: {}", known());
            return Err((format!("routes.{index}.channels"), reason));
        }
        let thresholds = &self.jobs.thresholds;
        let mut built_in = thresholds.rules(thresholds.window_minutes);
        built_in.push(Rule::canary());
        // One of the user's own stands in its place, also where it is off.
        built_in.retain(|built_in| self.rules.iter().all(|rule| rule.name != built_in.name));
        Ok(Alerting {
            settings: self.alerts.clone(),
            built_in: built_in.iter().map(|rule| rule.name.clone()).collect(),
            rules: self.all_rules(built_in)?,
            routing,
            maintenance: self.maintenance.clone(),
            quiet_hours: self.quiet_hours.clone(),
            inhibitions: self.inhibit.iter().cloned().chain(self.inhibitions_of_needs()?).collect(),
        })
    }

    /// A service that fails because of one that it needs is told with that one.
    fn inhibitions_of_needs(&self) -> Result<Vec<InhibitSettings>, (String, String)> {
        let health_of = |service: &str| {
            Matcher::of(
                [("alert_type", "service_health"), ("service", service)]
                    .map(|(a, b)| (a.to_owned(), b.to_owned())),
            )
        };
        let mut all = Vec::new();
        for (index, service) in self.services.iter().enumerate() {
            for needed in &service.needs {
                let own = ["dogwatch-postgres", "dogwatch-redis"];
                if self.services.iter().all(|other| other.name != *needed) && !own.contains(&needed.as_str())
                {
                    return Err((
                        format!("services.{index}.needs"),
                        format!("no service is named `{needed}`"),
                    ));
                }
                let (source, target) = (health_of(needed), health_of(&service.name));
                all.push(InhibitSettings { source, target, equal: Vec::new() });
            }
        }
        Ok(all)
    }

    /// What each service needs, of those that need something.
    pub fn needs(&self) -> BTreeMap<String, Vec<String>> {
        let needing = self.services.iter().filter(|service| !service.needs.is_empty());
        needing.map(|service| (service.name.clone(), service.needs.clone())).collect()
    }

    /// Services that tell of themselves.
    pub fn heartbeats(&self) -> HashSet<String> {
        let tells = |service: &&ServiceTarget| service.url.expose_secret().starts_with("heartbeat:");
        self.services.iter().filter(tells).map(|service| service.name.clone()).collect()
    }

    /// Those that are always there, and those of the settings.
    fn all_rules(&self, built_in: Vec<Rule>) -> Result<Vec<Rule>, (String, String)> {
        let mut rules = built_in;
        for (index, settings) in self.rules.iter().enumerate() {
            let rule = settings.rule().map_err(|(key, reason)| (format!("rules.{index}.{key}"), reason))?;
            rules.extend(rule);
        }
        for (index, settings) in self.slos.iter().enumerate() {
            rules.extend(settings.rules().map_err(|(key, reason)| (format!("slos.{index}.{key}"), reason))?);
        }
        let mut names = BTreeSet::new();
        let twice = rules.iter().find(|rule| !names.insert(&rule.name));
        match twice {
            Some(rule) => Err(("rules".to_owned(), format!("`{}` is there twice", rule.name))),
            None => Ok(rules),
        }
    }
}
