//! One run of the agent: threads and channels, and nothing else.
//!
//! | thread | does |
//! |---|---|
//! | one per ring (`shard`) | reads its ring in place, follows connections, parses; owns what it needs, no locks |
//! | kubernetes | two that watch the API server, where there is one |
//! | listen | looks for listening sockets now and then |
//! | tls | finds TLS libraries and probes them |
//! | core | workloads, inventory, store; answers questions |
//! | main | control socket, signals, console |
//!
//! The only place that spawns threads and makes channels. Every channel is bounded; a core that falls behind makes the
//! shards wait, and a ring that fills up then is counted by the kernel programs: loss has one place.

mod batch;
mod core;
mod coverage;
mod governor;
mod harvester;
mod health;
mod keeper;
mod kubernetes;
mod listeners;
mod marker;
mod observed;
mod origin;
mod past;
mod record;
mod reload;
mod scope;
mod shard;
mod tls;
mod watch;

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::{mpsc, oneshot};

pub use self::record::{Recorded, record};
use self::{
    batch::{MAX_WAITING_BATCHES, ToCore},
    core::{Core, Restart, Throttled},
    governor::Governor,
    health::Health,
    kubernetes::Node,
    reload::Reloader,
    scope::Scope,
    shard::Shard,
};
use crate::{
    capture::{
        btf::KernelTypes,
        features::{Features, running_release},
        load::{Attached, LoadOptions, attach},
        memory,
        plan::plan,
        reader::RingReader,
        reading::Reading,
        tls::libraries::Libraries,
    },
    clock,
    config::{self, AlertTarget, RunOptions},
    confine,
    control::{self, MAX_WAITING_REQUESTS, Query, Request},
    event::Address,
    flow::{Flows, Limits},
    inventory::EndpointView,
    policy::Policies,
    protocol::redact::Redactor,
    sink::{Sinks, target::Target},
    status::Status,
    store::Store,
    verdict::Alert,
};

/// Directory in the store for what collectors have not accepted yet.
const SPOOL: &str = "spool";

/// Announcements that may wait for the console. Overflow policy: further ones are not shown; the inventory has them.
const MAX_ANNOUNCEMENTS: usize = 1024;

/// What the console is told while the agent runs.
#[derive(Debug)]
pub enum Notice {
    /// Capture is on: the tier, the control socket, and what cannot be seen.
    Started {
        /// 1, 2 or 3.
        tier: u8,
        /// What this kernel does not let us see.
        blind_spots: Vec<String>,
    },
    /// An endpoint was seen for the first time.
    NewEndpoint(Box<EndpointView>),
    /// An incident opened, got worse or larger, or ended.
    Alert(Box<Alert>),
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// The agent's last health.
    pub status: Status,
    /// Endpoints known at the end.
    pub endpoints: usize,
}

/// Captures until the duration is over or a signal comes. `notice` is called on this thread.
///
/// # Errors
/// One sentence: the kernel refuses, the store or the control socket cannot be used.
pub fn run(options: &RunOptions, notice: impl FnMut(Notice)) -> Result<Summary> {
    run_until(options, notice, stopped(options.duration))
}

/// Captures until `ended` is over. `notice` and `ended` run on this thread.
///
/// # Errors
/// As [`run`], and what `ended` says.
pub fn run_until(
    options: &RunOptions,
    mut notice: impl FnMut(Notice),
    ended: impl Future<Output = Result<()>>,
) -> Result<Summary> {
    memory::bound();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let now = clock::now();
    // Neither waits for the other: one for the disk, one for the kernel.
    let (opened, started) = std::thread::scope(|scope| {
        let opening = scope.spawn(|| Store::open(&options.store, options.config.store.max_bytes, now));
        let started = Started::new(&options.config.capture, options.observed.as_ref());
        (opening.join(), started)
    });
    let opened = opened.map_err(|_| anyhow!("opening the store ended by a panic: please report it"))??;
    if let Some(aside) = &opened.damaged {
        tracing::warn!(
            aside = %aside.display(),
            rows = opened.salvaged,
            "the store was damaged: it was put aside, and a new one was started with the rows that could be read"
        );
    }
    let socket = control::bind(&options.socket, &options.config.control.group)?;
    let metrics = options.config.control.metrics.map(listen).transpose()?;
    let started = started?;
    notice(Notice::Started {
        tier: started.tier,
        blind_spots: started.attached.blind_spots.clone(),
    });
    let Started {
        tier,
        release,
        mut attached,
        readers,
        load,
        has_loop,
    } = started;
    let full = load.control();
    let targets = targets(options)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (hint, news) = tls::news();
    let tls = tls::Work::new(&mut attached, has_loop, &options.config.capture.tls)?;
    let mut libraries = Libraries::default();
    let (past, waiter) = past::open(&mut attached, tls.is_some().then(|| hint.clone()))?;
    let mut reading = tls::Progress::default();
    let discoverer = match tls {
        Some(work) => {
            libraries = work.libraries();
            reading = work.progress();
            let (stop, to_self) = (Arc::clone(&stop), hint.clone());
            let needs = options.config.security.confine.then_some(confine::Needs {
                probes: true,
                ..NEEDS
            });
            Some(spawn("apiarist-tls", move || {
                tls::run(work, (to_self, &news), needs.as_ref(), &stop);
            })?)
        }
        None => None,
    };
    if options.config.security.confine {
        for kept in confine::confine(&NEEDS) {
            tracing::warn!("not confined as far as it should be: {kept}");
        }
    }

    let (to_core, from_shards) = sync_channel::<ToCore>(MAX_WAITING_BATCHES);
    let (announce, announced) = mpsc::channel(MAX_ANNOUNCEMENTS);
    let mut health = Health::new(release, tier, attached.counter_map(), full, clock::monotonic_ns());
    health.coverages.know(libraries);
    health.tls = reading;
    let throttled = Throttled {
        governor: Governor::new(full, cpu_limit(&options.config.capture)),
        throttle: attached.take_throttle(),
    };
    let mut restart = Restart::of(
        opened.store,
        &options.store,
        &options.config.inventory,
        options.config.detection.settings(),
        options.config.risk.clone(),
        options
            .config
            .workloads
            .owners()
            .map_err(|problem| anyhow!(problem))?,
    )?;
    restart.remember_harmless(random_key()?);
    restart.set_proxies(
        options
            .config
            .workloads
            .proxies()
            .map_err(|problem| anyhow!(problem))?,
    );
    restart.set_node(Node::start(&options.config.workloads.kubernetes)?);
    let rules = options.config.policies.rules().map_err(|error| anyhow!(error))?;
    let budget_bytes = Arc::new(AtomicU64::new(u64::from(options.config.capture.budget_bytes)));
    let reloader = Reloader::new(options, rules.clone(), load, Arc::clone(&budget_bytes));
    restart.set_policies(Policies::new(rules));
    let sinks = Sinks::start(
        &targets,
        &options.store.join(SPOOL),
        options.config.alerts.spool_bytes,
    )?;
    let core = Core::new(restart, &options.config.store, health, throttled, announce, sinks);
    let core = core.remembering(past.clone());
    let core = match options.observed {
        Some(_) => core.by_program(),
        None => core.with_listeners()?,
    };
    let keeper = {
        let (past, stop) = (past.clone(), Arc::clone(&stop));
        spawn("apiarist-past", move || past::run(&past, waiter, &stop))?
    };
    let (ask, questions) = sync_channel(MAX_WAITING_REQUESTS);
    let core = spawn("apiarist-core", move || core.run(&from_shards, &questions))?;

    let told = match options.config.capture.both_ends {
        true => None,
        false => Some(Arc::new(Mutex::new(attached.take_told()?))),
    };
    let mut shards = Vec::new();
    let limits = Limits {
        budget_bytes: u64::from(options.config.capture.budget_bytes),
        ..Limits::default()
    };
    for (number, reader) in readers.into_iter().enumerate() {
        let shard = Shard::new(
            number,
            reader,
            Flows::new(limits.clone(), Redactor::new(random_key()?)),
            Scope::new(
                &options.config.capture.scope,
                own_address(&options.socket),
                options.observed.clone(),
            )
            .remembering(&past),
            to_core.clone(),
            discoverer.as_ref().map(|_| hint.clone()),
            Arc::clone(&budget_bytes),
        );
        let stop = Arc::clone(&stop);
        let shard = match &told {
            Some(told) => shard.leaving_out(Arc::clone(told)),
            None => shard,
        };
        shards.push(spawn("apiarist-shard", move || shard.run(&stop))?);
    }
    memory::release();

    let served = runtime.block_on(until_stopped(
        ended,
        (&socket, metrics),
        (ask, to_core),
        reloader,
        announced,
        &mut notice,
    ));
    stop.store(true, Ordering::Release);
    if let Some(discoverer) = discoverer {
        join(discoverer, "the TLS thread")?;
    }
    join(keeper, "the thread that keeps processes")?;
    drop(attached);
    for shard in shards {
        join(shard, "a shard")?;
    }
    let summary = join(core, "the core")?;
    served?;
    Ok(summary)
}

/// Where Prometheus asks.
fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| format!("cannot serve metrics on {address}"))
}

/// Where incidents go: the configured sinks, and what `--alerts` names.
fn targets(options: &RunOptions) -> Result<Vec<Target>> {
    let mut targets = options
        .config
        .alerts
        .targets()
        .map_err(|problem| anyhow!(problem))?;
    targets.extend(options.alerts.as_ref().map(|target| match target {
        AlertTarget::Stdout => Target::stdout(),
        AlertTarget::File(path) => Target::file(path),
    }));
    Ok(targets)
}

/// CPU seconds per second from which on less is copied.
fn cpu_limit(capture: &config::Capture) -> f64 {
    f64::from(capture.max_cpu_percent) / 100.0
}

/// What the agent still has to do once it is attached.
const NEEDS: confine::Needs = confine::Needs {
    programs: true,
    processes: true,
    probes: false,
};

/// Programs at work, and their rings.
struct Started {
    tier: u8,
    release: String,
    attached: Attached,
    readers: Vec<RingReader>,
    /// What they were loaded with.
    load: LoadOptions,
    /// The kernel has `bpf_loop`.
    has_loop: bool,
}

impl Started {
    fn new(capture: &config::Capture, observed: Option<&config::Observed>) -> Result<Self> {
        let reading = Reading::start();
        let types = KernelTypes::of_running_kernel()?;
        let features = Features::of(&running_release(), Some(&types));
        let offsets = types.offsets();
        drop(types);
        let plan = plan(&features, &offsets).map_err(|reason| anyhow!(reason))?;
        let tier = plan.tier;
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shards = capture.shards_on(processors);
        let load = LoadOptions {
            budget_bytes: capture.budget_bytes,
            rings: shards,
            ring_bytes: capture.ring_bytes,
            observe_self: false,
            tls: capture.tls.enabled,
            tls_sessions: capture.tls.sessions,
            scope_cgroup: match observed {
                Some(config::Observed::Group { id, .. }) => *id,
                Some(config::Observed::Tree { .. }) | None => 0,
            },
        };
        let mut attached = attach(reading, plan, &features, offsets, load)?;
        for refused in &attached.refused {
            tracing::debug!(refused, "optional program");
        }
        let rings = attached.take_rings(shards)?;
        let readers = rings.into_iter().map(RingReader::new).collect::<Result<_>>()?;
        Ok(Self {
            tier,
            release: features.release_text,
            attached,
            readers,
            load,
            has_loop: features.bpf_loop,
        })
    }
}

/// Serves the control API and the console until `ended` is over.
async fn until_stopped(
    ended: impl Future<Output = Result<()>>,
    (socket, metrics): (&control::Socket, Option<TcpListener>),
    (ask, to_core): (SyncSender<Request>, SyncSender<ToCore>),
    reloader: Option<Reloader>,
    mut announced: mpsc::Receiver<Notice>,
    notice: &mut impl FnMut(Notice),
) -> Result<()> {
    let (query, requests) = Query::channel();
    let (stop_serving, serving_stopped) = oneshot::channel::<()>();
    let scraped = scraped(metrics, query.clone());
    let server = control::serve(socket, query, async {
        // Whether told to stop or left alone: both mean the end.
        serving_stopped.await.unwrap_or(());
    });
    let reloaded = reload(reloader, to_core.clone());
    let forwarded = forward(requests, ask, to_core);
    tokio::pin!(server, scraped, ended, forwarded, reloaded);
    loop {
        tokio::select! {
            result = &mut ended => {
                result?;
                break;
            }
            result = &mut server => {
                result.context("the control API ended")?;
                break;
            }
            result = &mut scraped => {
                result.context("serving metrics ended")?;
                break;
            }
            () = &mut forwarded => break,
            result = &mut reloaded => {
                result?;
                break;
            }
            Some(told) = announced.recv() => notice(told),
        }
    }
    drop(stop_serving);
    Ok(())
}

/// Serves metrics over TCP, if that is wanted.
async fn scraped(metrics: Option<TcpListener>, query: Query) -> Result<()> {
    match metrics {
        Some(listener) => Ok(control::serve_metrics(listener, query, std::future::pending()).await?),
        None => std::future::pending().await,
    }
}

/// Passes requests on to the core, and wakes it. Each is answered when its turn among the batches comes, or before.
async fn forward(
    mut requests: mpsc::Receiver<Request>,
    questions: SyncSender<Request>,
    to_core: SyncSender<ToCore>,
) {
    while let Some(request) = requests.recv().await {
        if !hand_over(request, &questions).await || !hand_over(ToCore::Ask, &to_core).await {
            return;
        }
    }
}

/// Waits for room in a queue of the core; `false` when the core is gone.
async fn hand_over<T>(mut message: T, queue: &SyncSender<T>) -> bool {
    loop {
        message = match queue.try_send(message) {
            Ok(()) => return true,
            Err(TrySendError::Full(message)) => message,
            Err(TrySendError::Disconnected(_)) => return false,
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Reads the configuration again at each SIGHUP, until the core is gone.
async fn reload(reloader: Option<Reloader>, to_core: SyncSender<ToCore>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let Some(mut reloader) = reloader else {
        return std::future::pending().await;
    };
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    while hangup.recv().await.is_some() {
        match reloader.read() {
            Ok(Some(change)) => {
                if !hand_over(ToCore::Change(Box::new(change)), &to_core).await {
                    break;
                }
            }
            Ok(None) => tracing::info!("the configuration was read again: nothing to take over"),
            Err(error) => tracing::warn!("the configuration stays as it was: {error:#}"),
        }
    }
    Ok(())
}

/// Completes on SIGINT, SIGTERM, or when the duration is over.
async fn stopped(duration: Option<Duration>) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let over = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = over => {}
    }
    Ok(())
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("cannot start the thread {name}"))
}

fn join<T>(thread: JoinHandle<T>, who: &str) -> Result<T> {
    thread
        .join()
        .map_err(|_| anyhow!("{who} thread ended by a panic: please report it"))
}

/// Key of the fingerprints of credentials, and of the names of harmless values: new for each run.
fn random_key() -> Result<[u8; 16]> {
    let mut key = [0; 16];
    let filled = rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())
        .context("cannot get random bytes")?;
    anyhow::ensure!(filled == key.len(), "the system gave too few random bytes");
    Ok(key)
}

/// The control socket as its clients' connections name it.
fn own_address(socket: &Path) -> Address {
    Address::Unix(socket.to_string_lossy().into_owned())
}
