//! All that a run consists of: Redis, the proxies before it, the processes, and the ledger of the conductor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use dogwatch_queue::{Client, Control};
use tokio::sync::Mutex;

use crate::doors::Addresses;
use crate::event::{Fsync, SlotRule, What};
use crate::fleet::Fleet;
use crate::guard::Guard;
use crate::jobs::{self, ATTEMPTS};
use crate::ledger::Ledger;
use crate::plan::{PRODUCERS, SCHEDULERS, WORKERS};
use crate::process::NAMESPACE;
use crate::program::{PLACES, Program};
use crate::proxy::Proxy;
use crate::sabotage::Sabotage;
use crate::server::Server;

/// Runs at the end to remove what is old.
pub(crate) const SWEEPER: &str = "sweeper-1";
/// Does not know all jobs.
const OLD_WORKER: &str = "worker-2";
/// Where distributions put libfaketime, by which the clock of one worker is stepped.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];
/// Names another one.
const FAKETIME_VARIABLE: &str = "CHAOS_FAKETIME";

/// The schedule book of a second program, whose file nobody edits.
pub(crate) const OTHER_BOOK: &str = "other";
/// Its file.
pub(crate) const OTHER_FILE: &str = "other-schedules.toml";

/// A schedule: its name, its interval, what it promises, and the rest of its definition.
const SCHEDULES: [(&str, i64, SlotRule, &str); 5] = [
    ("each", 1000, SlotRule::Each, "every = \"1s\"\nmisfire = \"all\"\noverlap = \"allow\""),
    ("cron", 2000, SlotRule::Each, "cron = \"*/2 * * * * *\"\nmisfire = \"all\"\noverlap = \"allow\""),
    ("in_time", 1000, SlotRule::InTime, "every = \"1s\"\nmisfire = \"once\"\noverlap = \"allow\""),
    ("alone", 1000, SlotRule::AtMostOnce, "every = \"1s\"\nmisfire = \"skip\"\noverlap = \"skip\""),
    // There now and then.
    (ONE_MORE, 1000, SlotRule::AtMostOnce, "every = \"1s\"\nmisfire = \"all\"\noverlap = \"allow\""),
];
const ONE_MORE: &str = "one_more";
/// The same, of the other book.
const OTHER: (&str, i64, SlotRule, &str) =
    ("other", 1000, SlotRule::Each, "every = \"1s\"\nmisfire = \"all\"\noverlap = \"allow\"");

/// What stands in schedules.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    Usual,
    /// With one more schedule.
    OneMore,
    /// With a mistake at its end.
    Broken,
}

/// What a run is made of.
pub(crate) struct World {
    // Fields are dropped in this order: the guard last.
    pub(crate) fleet: Fleet,
    pub(crate) proxies: BTreeMap<String, Proxy>,
    pub(crate) server: Mutex<Server>,
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) control: Control,
    /// Absent where a protection is switched off: it would know nothing of that.
    pub(crate) program: Option<Program>,
    /// Absent where clocks cannot be stepped.
    faketime: Option<PathBuf>,
}

impl World {
    /// Starts Redis and the proxies, and assigns the places.
    pub(crate) async fn build(
        folder: &Path,
        fsync: Fsync,
        seed: u64,
        rate: f64,
        sabotage: Option<Sabotage>,
    ) -> Result<Self> {
        let program = std::env::current_exe()?;
        let ledger = Arc::new(Ledger::open(folder, "conductor-1.1")?);
        let guard = Arc::new(Guard::start(&program, folder)?);
        let server = Server::start(folder, fsync, &guard).await?;
        let address = server.address();
        let client = Client::open(&format!("redis://{address}/"), NAMESPACE)?;
        let mut world = Self {
            fleet: Fleet::new(program, folder.to_owned(), ledger.clone(), guard.clone())?,
            proxies: BTreeMap::new(),
            server: Mutex::new(server),
            port: address.port(),
            folder: folder.to_owned(),
            ledger,
            guard,
            control: Control::new(client, jobs::registry().catalog()),
            program: None,
            faketime: faketime(),
        };
        if sabotage.is_none() {
            let program = Program::prepare(folder, &world.guard).await?;
            program.assign(&world.fleet, address, &mut world.proxies).await?;
            world.program = Some(program);
        }
        world.set_clock("+0")?;
        world.write_schedules(Edit::Usual)?;
        let (other, .., definition) = OTHER;
        std::fs::write(folder.join(OTHER_FILE), schedule(other, definition))?;
        for (name, every_ms, rule, _) in SCHEDULES.into_iter().chain([OTHER]) {
            let schedule = name.to_owned();
            world.ledger.write(What::Schedule { schedule, every_ms, rule, max_attempts: ATTEMPTS });
        }
        let schedules = world.schedules_file().display().to_string();
        for (kind, count) in [("worker", WORKERS), ("scheduler", SCHEDULERS), ("producer", PRODUCERS)] {
            for number in 1..=count {
                let mut arguments = vec![kind.to_owned()];
                match kind {
                    "scheduler" => arguments.extend(["--schedules".to_owned(), schedules.clone()]),
                    "producer" => {
                        let (seed, rate) = (seed.wrapping_add(number.into()), rate / f64::from(PRODUCERS));
                        arguments.extend(["--seed".to_owned(), seed.to_string()]);
                        arguments.extend(["--rate".to_owned(), rate.to_string()]);
                        if let Some(program) = &world.program {
                            let Addresses { program, api, database } = program.addresses();
                            let program = program.display().to_string();
                            for (flag, value) in
                                [("--program", program), ("--api", api), ("--database", database)]
                            {
                                arguments.extend([flag.to_owned(), value]);
                            }
                        }
                    }
                    _ => arguments.extend(["--concurrency".to_owned(), slots(rate).to_string()]),
                }
                arguments.extend(
                    sabotage.into_iter().flat_map(|it| ["--sabotage".to_owned(), it.name().to_owned()]),
                );
                let place = format!("{kind}-{number}");
                // A deployment is under way all the time.
                if place == OLD_WORKER && sabotage.is_none() {
                    arguments.push("--old".to_owned());
                }
                let mut port = world.port;
                // The first of each kind reaches Redis without a detour.
                if number > 1 {
                    let proxy = Proxy::start(address).await?;
                    port = proxy.port;
                    world.proxies.insert(place.clone(), proxy);
                }
                arguments.extend(["--url".to_owned(), format!("redis://127.0.0.1:{port}/")]);
                let variables =
                    if place == format!("worker-{WORKERS}") { world.variables() } else { Vec::new() };
                world.fleet.assign(&place, arguments, variables);
            }
        }
        let url = format!("redis://127.0.0.1:{}/", world.port);
        let sweeper = ["worker", "--keep-little", "--url", &url].map(str::to_owned).to_vec();
        world.fleet.assign(SWEEPER, sweeper, Vec::new());
        Ok(world)
    }

    /// The places of one kind.
    pub(crate) fn places(&self, kind: &str) -> Vec<String> {
        let count = match kind {
            "program" => return self.program.iter().flat_map(|_| PLACES).map(str::to_owned).collect(),
            "worker" => WORKERS,
            "scheduler" => SCHEDULERS,
            _ => PRODUCERS,
        };
        (1..=count).map(|number| format!("{kind}-{number}")).collect()
    }

    fn schedules_file(&self) -> PathBuf {
        self.folder.join("schedules.toml")
    }

    /// Writes schedules.toml, as a whole.
    pub(crate) fn write_schedules(&self, edit: Edit) -> Result<()> {
        let mut text = String::new();
        for (name, .., definition) in SCHEDULES {
            if name != ONE_MORE || edit == Edit::OneMore {
                text += &schedule(name, definition);
            }
        }
        if edit == Edit::Broken {
            text += "[schedules.half";
        }
        let new = self.folder.join("schedules.toml.new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, self.schedules_file())?)
    }

    /// How many fields the schedules need in Redis: each its last slot, definition and job; each book its epoch; and
    /// all their totals.
    pub(crate) const fn slot_fields() -> u64 {
        (SCHEDULES.len() as u64 + 1) * 5 + 5
    }

    /// Whether the clock of the last worker can be stepped.
    pub(crate) fn can_step_clocks(&self) -> bool {
        self.faketime.is_some()
    }

    /// Steps it, by seconds such as `+3600`.
    pub(crate) fn set_clock(&self, offset: &str) -> Result<()> {
        Ok(std::fs::write(self.clock_file(), offset)?)
    }

    fn clock_file(&self) -> PathBuf {
        self.folder.join("clock")
    }

    fn variables(&self) -> Vec<(String, String)> {
        let Some(library) = &self.faketime else { return Vec::new() };
        let clock = self.clock_file();
        let variables = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // Only the time of day is stepped, as by a bad time server.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// A schedule as it stands in the file. The first run shows from when on its times are counted.
fn schedule(name: &str, definition: &str) -> String {
    let job = "job = \"act\"\nargs = { deed = \"work\", ms = 5 }\nrun_at_start = true";
    format!("[schedules.{name}]\n{job}\n{definition}\n")
}

/// Slots of a worker: a job takes a third of a second on the average, and the workers are there for half of the time.
fn slots(rate: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let slots = (rate / 7.0).ceil() as u64;
    slots.max(4)
}

fn faketime() -> Option<PathBuf> {
    let named = std::env::var_os(FAKETIME_VARIABLE).map(PathBuf::from);
    named.into_iter().chain(FAKETIME.map(PathBuf::from)).find(|library| library.is_file())
}
