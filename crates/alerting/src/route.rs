//! Who hears of an alert, and together with what: the first route that matches says so.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use dogwatch_runtime::duration;
use serde::Deserialize;

use crate::canary::CANARY;
use crate::matcher::{Labels, Matcher};
use crate::severity::Severity;

/// The label that says what kind of alert it is.
const ALERT_TYPE: &str = "alert_type";

/// A `[[routes]]` entry of dogwatch.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Which alerts; all where it is absent.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// Who hears of them.
    pub channels: Vec<String>,
    /// Alerts with the same values of these labels are told in one message.
    #[serde(default = "default_group")]
    pub group_by: Vec<String>,
    /// How long the first alert of a group waits for others.
    #[serde(default = "five_seconds", deserialize_with = "duration::time_delta::required")]
    pub group_wait: TimeDelta,
    /// What happens in a group afterwards is told together, so long after its last message.
    #[serde(default = "a_minute", deserialize_with = "duration::time_delta::required")]
    pub group_interval: TimeDelta,
    /// An alert that is still active is told again after so long; absent: never.
    #[serde(default, deserialize_with = "duration::time_delta::optional")]
    pub repeat: Option<TimeDelta>,
    /// What nobody has acknowledged within this time …
    #[serde(default, deserialize_with = "duration::time_delta::optional")]
    pub escalate_after: Option<TimeDelta>,
    /// … is told here too.
    #[serde(default)]
    pub escalate_to: Vec<String>,
    /// Whether the end of an alert is told.
    #[serde(default = "yes")]
    pub resolved: bool,
    /// Whether later routes are looked at too.
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
}

fn default_group() -> Vec<String> {
    ["alert_type", "service"].map(str::to_owned).to_vec()
}
fn five_seconds() -> TimeDelta {
    TimeDelta::seconds(5)
}
fn a_minute() -> TimeDelta {
    TimeDelta::minutes(1)
}
fn yes() -> bool {
    true
}

/// Where an alert is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The channel.
    pub channel: String,
    /// What is told together: alerts with the same word here.
    pub group: String,
    /// How long the first of them waits.
    pub wait: TimeDelta,
    /// How long after its last message something is told of the group again.
    pub interval: TimeDelta,
    /// Whether its end is told.
    pub resolved: bool,
    /// It is told again after so long.
    pub repeat: Option<TimeDelta>,
}

/// All routes, and what each channel wants to hear of where there are none.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    routes: Vec<RouteSettings>,
    /// By name, the least severity.
    channels: BTreeMap<String, Severity>,
    /// There are no routes: each channel hears of what is bad enough for it.
    goes_by_severity: bool,
}

impl Routing {
    /// Without routes, every channel hears of what is bad enough for it. With routes, these alone decide.
    pub fn new(mut routes: Vec<RouteSettings>, channels: BTreeMap<String, Severity>) -> Self {
        let goes_by_severity = routes.is_empty();
        if goes_by_severity {
            routes.push(RouteSettings {
                matcher: Matcher::default(),
                channels: channels.keys().cloned().collect(),
                group_by: default_group(),
                group_wait: five_seconds(),
                group_interval: a_minute(),
                repeat: None,
                escalate_after: None,
                escalate_to: Vec::new(),
                resolved: true,
                goes_on: false,
            });
        }
        Self { routes, channels, goes_by_severity }
    }

    /// Channels that routes name and that are not there, with the number of the route.
    pub fn unknown_channel(&self) -> Option<(usize, &str)> {
        let named = |route: &RouteSettings| {
            route.channels.iter().chain(&route.escalate_to).cloned().collect::<Vec<_>>()
        };
        self.routes.iter().enumerate().find_map(|(index, route)| {
            let unknown = named(route).into_iter().find(|name| !self.channels.contains_key(name))?;
            let all = route.channels.iter().chain(&route.escalate_to);
            Some((index, all.into_iter().find(|name| **name == unknown)?.as_str()))
        })
    }

    /// Where an alert with these labels is told, each channel once.
    pub fn routes(&self, labels: &Labels, severity: Severity) -> Vec<Route> {
        let mut told: Vec<Route> = Vec::new();
        if is_canary(labels) {
            told.push(canary());
        }
        for route in self.matching(labels) {
            for channel in self.wanting(&route.channels, severity) {
                if told.iter().all(|known| known.channel != channel) {
                    told.push(self.route(route, channel, labels));
                }
            }
        }
        told
    }

    /// After how long, and where else, an alert is told that nobody has acknowledged.
    pub fn escalations(&self, labels: &Labels, severity: Severity) -> Vec<(TimeDelta, Route)> {
        let steps = self.matching(labels).filter_map(|route| Some((route, route.escalate_after?)));
        steps
            .flat_map(|(route, after)| {
                let channels = self.wanting(&route.escalate_to, severity);
                channels.map(move |channel| (after, self.route(route, channel, labels)))
            })
            .collect()
    }

    /// Those that match, to the first one that does not go on.
    fn matching<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = &'a RouteSettings> {
        let mut is_over = false;
        // Of the canary hears who asks for it.
        let is_meant = move |matcher: &Matcher| !is_canary(labels) || matcher.names(ALERT_TYPE);
        let matches = move |route: &&RouteSettings| is_meant(&route.matcher) && route.matcher.matches(labels);
        self.routes.iter().filter(matches).take_while(move |route| {
            let was_over = is_over;
            is_over |= !route.goes_on;
            !was_over
        })
    }

    fn wanting<'a>(&'a self, channels: &'a [String], severity: Severity) -> impl Iterator<Item = &'a str> {
        let wants = move |name: &&String| {
            self.channels.get(*name).is_some_and(|least| !self.goes_by_severity || severity >= *least)
        };
        channels.iter().filter(wants).map(String::as_str)
    }

    #[expect(clippy::unused_self, reason = "reads as one of its questions")]
    fn route(&self, route: &RouteSettings, channel: &str, labels: &Labels) -> Route {
        let value = |label: &String| format!("{label}={}", labels.get(label).map_or("", String::as_str));
        Route {
            channel: channel.to_owned(),
            group: route.group_by.iter().map(value).collect::<Vec<_>>().join(","),
            wait: route.group_wait,
            interval: route.group_interval,
            resolved: route.resolved,
            repeat: route.repeat,
        }
    }
}

fn is_canary(labels: &Labels) -> bool {
    labels.get(ALERT_TYPE).is_some_and(|alert_type| alert_type == CANARY)
}

/// The end of the canary's way.
fn canary() -> Route {
    Route {
        channel: CANARY.to_owned(),
        group: format!("{ALERT_TYPE}={CANARY}"),
        wait: TimeDelta::zero(),
        interval: TimeDelta::zero(),
        resolved: true,
        repeat: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(routes: &str) -> Routing {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            routes: Vec<RouteSettings>,
        }
        let channels = [("log", Severity::Low), ("mail", Severity::Medium), ("pager", Severity::Critical)];
        let channels = channels.map(|(name, least)| (name.to_owned(), least)).into();
        Routing::new(toml::from_str::<File>(routes).unwrap().routes, channels)
    }

    fn labels(service: &str, severity: Severity) -> Labels {
        [("service", service), ("severity", severity.as_str()), ("alert_type", "error_rate")]
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .into()
    }

    fn channels(routing: &Routing, service: &str, severity: Severity) -> Vec<String> {
        routing.routes(&labels(service, severity), severity).into_iter().map(|route| route.channel).collect()
    }

    #[test]
    fn of_the_canary_hears_who_asks_for_it() {
        let routing = routing(
            "[[routes]]\nchannels = ['log']\ncontinue = true\n
             [[routes]]\nmatch = { alert_type = 'canary' }\nchannels = ['mail']",
        );
        let of = |alert_type: &str| {
            let labels = [(ALERT_TYPE.to_owned(), alert_type.to_owned())].into();
            routing.routes(&labels, Severity::High).into_iter().map(|route| route.channel).collect::<Vec<_>>()
        };
        assert_eq!(of("cpu"), ["log"]);
        assert_eq!(of(CANARY), [CANARY, "mail"]);
    }

    #[test]
    fn without_routes_each_channel_hears_of_what_is_bad_enough_for_it() {
        let routing = routing("");
        assert_eq!(channels(&routing, "shop", Severity::Low), ["log"]);
        assert_eq!(channels(&routing, "shop", Severity::Critical), ["log", "mail", "pager"]);
        assert_eq!(
            routing.routes(&labels("shop", Severity::Low), Severity::Low)[0].group,
            "alert_type=error_rate,service=shop"
        );
    }

    #[test]
    fn the_first_route_that_matches_counts_unless_it_goes_on() {
        let routing = routing(
            "[[routes]]\nmatch = { service = 'shop' }\nchannels = ['mail']\ncontinue = true
             [[routes]]\nmatch = { severity = ['high', 'critical'] }\nchannels = ['pager', 'mail']
             [[routes]]\nchannels = ['log']",
        );
        assert_eq!(channels(&routing, "shop", Severity::Critical), ["mail", "pager"]);
        assert_eq!(channels(&routing, "shop", Severity::Medium), ["mail", "log"]);
        // A route names who is told, whatever `min_severity` says.
        assert_eq!(channels(&routing, "shop", Severity::Low), ["mail", "log"]);
        assert_eq!(channels(&routing, "pay", Severity::High), ["pager", "mail"]);
        assert_eq!(channels(&routing, "pay", Severity::Low), ["log"]);
    }

    #[test]
    fn what_nobody_acknowledges_goes_further() {
        let routing =
            routing("[[routes]]\nchannels = ['mail']\nescalate_after = '15m'\nescalate_to = ['pager']");
        let steps = routing.escalations(&labels("shop", Severity::Low), Severity::Low);
        assert_eq!(steps.len(), 1);
        assert_eq!((steps[0].0, steps[0].1.channel.as_str()), (TimeDelta::minutes(15), "pager"));
    }

    #[test]
    fn a_channel_that_is_not_there_is_found() {
        let routing = routing(
            "[[routes]]\nchannels = ['mail']\n[[routes]]\nchannels = ['log']\nescalate_to = ['boss']",
        );
        assert_eq!(routing.unknown_channel(), Some((1, "boss")));
    }
}
