//! Hundreds of alerts on four channels that fail in every way, with ten workers of which one after the other is killed: what
//! was to be told arrived, once wherever the channel allows to tell.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use dogwatch_testing::{HttpPeer, SmtpFault, SmtpPeer, eventually};
use serde_json::{Value, json};

use crate::support::{Place, Process};

/// Alerts, unless `DOGWATCH_ALERTS` says otherwise.
const ALERTS: usize = 300;
const WAVE: usize = 20;
/// As many as are told in messages of their own.
const GROUPS: usize = 5;
const WORKERS: usize = 10;
/// Everything has arrived after so long, the claims of workers that were killed among it.
const LIMIT: Duration = Duration::from_mins(4);

const SCHEDULES: &str = "[schedules.send_performance_alerts]\nevery = \"1s\"\noverlap = \"allow\"\n";

struct Peers {
    hook: HttpPeer,
    slack: HttpPeer,
    pager: HttpPeer,
    mail: SmtpPeer,
}

impl Peers {
    async fn start() -> Self {
        let (hook, slack, pager) = tokio::join!(HttpPeer::start(), HttpPeer::start(), HttpPeer::start());
        Self { hook, slack, pager, mail: SmtpPeer::start().await }
    }

    fn settings(&self) -> String {
        let http = [
            ("webhooks", "hook", format!("url = \"{}\"", self.hook.url())),
            ("slack", "slack", format!("url = \"{}\"", self.slack.url())),
            ("pagerduty", "pager", format!("url = \"{}\"\nrouting_key = \"k\"", self.pager.url())),
        ];
        let http = http.map(|(kind, name, address)| {
            format!(
                "[[notify.{kind}]]\nname = \"{name}\"\ntimeout = \"1s\"\nlimit = \"1000/1m\"\n{address}\n"
            )
        });
        let mail = format!(
            "[[notify.email]]\nname = \"mail\"\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\ntimeout = \"1s\"\n\
             limit = \"1000/1m\"\nfrom = \"dogwatch@example.com\"\nto = [\"ops@example.com\"]\n",
            self.mail.port()
        );
        let route = "[notify.log]\nenabled = false\n[[routes]]\nchannels = [\"hook\", \"slack\", \"pager\", \"mail\"]\n\
                     group_by = [\"wave\"]\ngroup_wait = \"0s\"\ngroup_interval = \"0s\"\n";
        format!("{route}{}{mail}", http.concat())
    }

    /// Another fault of each channel, by turns.
    async fn fail(&self, turn: usize) {
        for (offset, peer) in [&self.hook, &self.slack, &self.pager].into_iter().enumerate() {
            peer.delay(Duration::ZERO);
            peer.answer(200, r#"{"ok": true}"#);
            match (turn + offset) % 6 {
                0 => peer.answer(503, "busy"),
                1 => peer.answer(429, "slow down"),
                2 => peer.answer(500, "broken"),
                3 => peer.hang_up(),
                4 => peer.delay(Duration::from_secs(3)),
                _ => {}
            }
        }
        self.mail.fail(match turn % 7 {
            0 => SmtpFault::Busy,
            1 => SmtpFault::Recipient(451),
            2 => SmtpFault::Text(452),
            3 => SmtpFault::HangUpAfterText,
            4 => SmtpFault::Slow(Duration::from_secs(2)),
            _ => SmtpFault::None,
        });
        // Not listening at all, for a moment.
        if turn % 5 == 4 {
            self.hook.pause().await;
            self.mail.pause().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.hook.resume().await;
            self.mail.resume().await;
        }
    }

    fn heal(&self) {
        for peer in [&self.hook, &self.slack, &self.pager] {
            peer.delay(Duration::ZERO);
            peer.answer(200, r#"{"ok": true}"#);
        }
        self.mail.fail(SmtpFault::None);
    }

    /// How often each message came and was kept, by channel and by what tells it: its id; where there is none, what it says.
    fn received(&self) -> BTreeMap<&'static str, HashMap<String, usize>> {
        let count = |ids: Vec<String>| {
            ids.into_iter().fold(HashMap::new(), |mut counts, id| {
                *counts.entry(id).or_insert(0) += 1;
                counts
            })
        };
        let body =
            |request: &dogwatch_testing::Request| serde_json::from_str::<Value>(&request.body).unwrap();
        let kept = |peer: &HttpPeer| {
            peer.requests().into_iter().filter(|request| request.is_kept).collect::<Vec<_>>()
        };
        let hook = kept(&self.hook).iter().map(|request| request.headers["webhook-id"].clone()).collect();
        let slack = kept(&self.slack).iter().map(|request| request.body.clone()).collect();
        let pager = kept(&self.pager).into_iter().map(|request| {
            let body = body(&request);
            format!("{} {} {}", body["dedup_key"], body["event_action"], body["payload"]["timestamp"])
        });
        let mail = self.mail.mails().iter().map(|mail| mail.header("Message-ID")).collect();
        [
            ("hook", count(hook)),
            ("slack", count(slack)),
            ("pager", count(pager.collect())),
            ("mail", count(mail)),
        ]
        .into()
    }
}

/// Raises, or ends, the alerts of a wave.
async fn post(api: &str, wave: usize, status: &str) {
    let alerts: Vec<Value> = (0..WAVE)
        .map(|n| {
            json!({"alert_type": "storm", "service": format!("service-{}", wave * WAVE + n), "status": status,
                   "labels": {"wave": (wave % GROUPS).to_string()}})
        })
        .collect();
    let url = format!("{api}/api/v1/performance/alerts");
    let answer = crate::support::http().post(url).json(&alerts).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
}

#[tokio::test]
async fn each_alert_arrives_once_on_each_channel_whatever_fails_and_whoever_is_killed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let alerts: usize =
        std::env::var("DOGWATCH_ALERTS").ok().and_then(|count| count.parse().ok()).unwrap_or(ALERTS);
    let waves = alerts / WAVE;
    let peers = Peers::start().await;
    let place = Place::new().await;
    place.write("schedules.toml", SCHEDULES);
    place.write("dogwatch.toml", &peers.settings());
    let api = place.start(&["api"]);
    let base = api.api().await;
    let _scheduler = place.start(&["scheduler"]);
    let worker = || place.start(&["worker", "--concurrency", "2"]);
    let mut workers: Vec<Process> = (0..WORKERS).map(|_| worker()).collect();
    let (begun, mut kills) = (Instant::now(), 0);
    for wave in 0..waves {
        post(&base, wave, "active").await;
        if wave >= 5 {
            post(&base, wave - 5, "resolved").await;
        }
        match wave % 4 {
            0 => peers.fail(wave / 4).await,
            2 => peers.heal(),
            _ => {}
        }
        if wave % 4 == 3 {
            let index = kills % WORKERS;
            workers[index].signal("KILL");
            workers[index] = worker();
            kills += 1;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    peers.heal();
    for wave in waves - 5..waves {
        post(&base, wave, "resolved").await;
    }
    let database = place.database();
    let open = "SELECT count(*) FROM notifications WHERE delivered_at IS NULL";
    eventually(LIMIT, "everything has arrived", async || database.number(open).await == 0).await;

    let received = peers.received();
    println!("{alerts} alerts, {kills} kills, {:.0} s", begun.elapsed().as_secs_f64());
    println!(
        "{:<8} {:>13} {:>9} {:>9} {:>11}",
        "channel", "notifications", "messages", "received", "duplicates"
    );
    for (channel, ids) in &received {
        let of = |what: &str| format!("SELECT count(*) FROM {what} AND channel = '{channel}'");
        let told = database.number(&of("notifications WHERE delivered_at IS NOT NULL")).await;
        let messages = database.number(&of("deliveries WHERE delivered_at IS NOT NULL")).await;
        let came: usize = ids.values().sum();
        let twice = came - ids.len();
        println!("{channel:<8} {told:>13} {messages:>9} {came:>9} {twice:>11}");
        // Two events of each alert, and what the channels had to tell of each other.
        assert!(usize::try_from(told).unwrap() >= 2 * alerts, "{channel}: {told}");
    }
    // Every message that is noted as delivered came, under its id; and none came under two.
    let mut connection = database.connection().await;
    for channel in ["hook", "mail"] {
        let ids: Vec<uuid::Uuid> =
            sqlx::query_scalar("SELECT id FROM deliveries WHERE channel = $1 AND delivered_at IS NOT NULL")
                .bind(channel)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let known = &received[channel];
        let missing =
            ids.iter().filter(|id| !known.keys().any(|came| came.contains(&id.to_string()))).count();
        assert_eq!(missing, 0, "{channel}");
    }
    // Nothing was told in two messages: each notification is part of one delivery, each delivery came.
    let lost = "SELECT count(*) FROM notifications JOIN deliveries ON deliveries.id = delivery_id
                WHERE deliveries.delivered_at IS NULL";
    assert_eq!(database.number(lost).await, 0);
    let twice = "SELECT count(*) FROM (SELECT FROM notifications GROUP BY alert_id, event, sequence, channel HAVING count(*) > 1) AS twice";
    assert_eq!(database.number(twice).await, 0);
}
