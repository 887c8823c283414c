//! Loading and attaching what the plan says.
//!
//! In: an [`AttachPlan`] and [`LoadOptions`]. Out: [`Attached`], which owns programs, links and maps: dropping it
//! detaches everything. A required program that fails is an error with the verifier's last words; an optional one is
//! a sentence in `refused`.

use std::{
    any::Any,
    borrow::Cow,
    collections::BTreeMap,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail};
use apiarist_common::{
    control::Control,
    limits::MAX_BUDGET_BYTES,
    offsets::{Offsets, Settings},
};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, PerCpuArray},
    programs::UProbe,
};

use super::{
    attachments::{attach_one, load_all},
    counters::{CounterMap, KernelCounters},
    features::Features,
    older::{self, MAX_OLDER},
    plan::AttachPlan,
    reading::Reading,
    ring::Ring,
    tls::{exclusions::Excluded, library, many, probe::Programs},
};

/// The kernel object for this machine, committed with the sources and checked by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("APIARIST_OBJECT"));

/// Overrides the built-in object, to try another build of it.
const OBJECT_VARIABLE: &str = "APIARIST_EBPF_OBJECT";

/// Names of the rings, in index order.
const RINGS: [&str; apiarist_common::limits::MAX_RINGS] = ["RING_0", "RING_1", "RING_2", "RING_3"];

fn object_bytes() -> Result<Cow<'static, [u8]>> {
    match std::env::var_os(OBJECT_VARIABLE).map(PathBuf::from) {
        Some(path) => std::fs::read(&path)
            .map(Cow::Owned)
            .with_context(|| format!("cannot read {}", path.display())),
        None => Ok(Cow::Borrowed(OBJECT)),
    }
}

/// What a user can choose.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Bytes copied per message and direction.
    pub budget_bytes: u32,
    /// Rings in use: 1, 2 or 4.
    pub rings: u32,
    /// Bytes per ring: a power of two of at least a page.
    pub ring_bytes: u32,
    /// Look at this process's own sockets too, for tests.
    pub observe_self: bool,
    /// Read plaintext of TLS libraries.
    pub tls: bool,
    /// Sessions of TLS libraries that are remembered, and as many calls that have not returned.
    pub tls_sessions: u32,
    /// Id of the control group whose processes alone are looked at; 0 for all processes.
    pub scope_cgroup: u64,
}

/// Slots of the programs that tier 1 attaches: the first of `Slot` in the kernel programs.
const TIER1_SLOTS: u32 = 10;
/// The same with spare copies.
const TIER1_SPARE_SLOTS: u32 = TIER1_SLOTS + 4;

/// Sockets kept in a table on kernels without socket storage for tracing. Overflow policy: the least used give way,
/// and show up again as joined late.
const MAX_TABLE_SOCKETS: u32 = 64 * 1024;

/// Bytes of the ring of processes: some 700 that become another program, or 8,000 that are made or end. Overflow policy:
/// further ones are not told, which [`apiarist_common::counter::Counter::ProcessEvents`] counts, and are known as long as
/// /proc has them.
const PROCESS_RING_BYTES: u32 = 512 * 1024;

/// Sessions of TLS libraries that are remembered unless told otherwise; one that is idle still counts.
pub const DEFAULT_TLS_SESSIONS: u32 = 32 * 1024;

/// Sizes of the tables of TLS: threads and goroutines inside a library call (a goroutine waits there for the next request
/// of an idle connection), sessions, addresses of connections of rustls, threads that received ciphertext. Overflow policy: the
/// least used give way. A session that comes back is told as one that was joined late, and counted in `tls_forgotten`, or in
/// [`apiarist_common::counter::Counter::TlsUnboundOperations`] where its socket is not found again. What a forgotten call
/// read is missing: [`apiarist_common::counter::Counter::TlsForgottenCalls`]. A process that was to be let alone is read
/// until it is put back, seconds later: `tls_exclusions_forgotten`.
const fn tls_tables(sessions: u32) -> [(&'static str, u32); 5] {
    [
        ("TLS_CALLS", sessions),
        ("TLS_SESSIONS", sessions),
        ("TLS_PLACES", sessions),
        ("TLS_ARRIVALS", 8 * 1024),
        ("TLS_EXCLUDED", 4 * 1024),
    ]
}

/// Least bytes copied of a message: enough for nearly every head.
const FLOOR_BYTES: u32 = 2048;

impl LoadOptions {
    /// What the programs start with.
    pub fn control(&self) -> Control {
        let budget_bytes = self.budget_bytes.min(MAX_BUDGET_BYTES);
        Control {
            budget_bytes,
            floor_bytes: budget_bytes.min(FLOOR_BYTES),
            sample_mask: 0,
            quota_bytes: self.ring_bytes / 32,
        }
    }
}

/// Changes the programs' budgets while they run.
pub struct Throttle {
    map: Array<MapData, Constant<Control>>,
}

impl Throttle {
    fn new(map: Option<Map>) -> Result<Self> {
        let map = map.ok_or_else(|| anyhow!("the kernel object has no map CONTROL"))?;
        Ok(Self {
            map: Array::try_from(map).context("the kernel object's CONTROL is of another type")?,
        })
    }

    /// Sets budgets and quota for messages that start from now on.
    ///
    /// # Errors
    /// When the kernel refuses the write.
    pub fn set(&mut self, control: Control) -> Result<()> {
        self.map
            .set(0, Constant(control), 0)
            .context("cannot set the programs' budgets")
    }
}

/// Has the programs leave clients' sockets alone whose servers' ends tell the same.
pub struct Told {
    map: HashMap<MapData, u64, u8>,
}

impl Told {
    /// Leaves a socket alone, by its cookie, from one of its next requests on. There is no way back.
    ///
    /// # Errors
    /// When the kernel refuses the write: the socket goes on being copied.
    pub fn leave_out(&mut self, cookie: u64) -> Result<()> {
        self.map
            .insert(cookie, 1, 0)
            .context("cannot have a socket left alone")
    }
}

/// Nanoseconds between two wake-ups of a ring that fills slowly.
const WAKEUP_INTERVAL_NS: u64 = 25_000_000;

/// A `repr(C)` structure of integers, as the loader wants constants.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Constant<T>(T);
// SAFETY: `Offsets` and `Settings` are `repr(C)` structures of integers without padding.
unsafe impl Pod for Constant<Offsets> {}
// SAFETY: as above.
unsafe impl Pod for Constant<Settings> {}
// SAFETY: as above.
unsafe impl Pod for Constant<Control> {}

/// Programs at work. Nothing is left of the object they came from, which takes megabytes, but what holds them: their links.
pub struct Attached {
    /// Closing them detaches the programs.
    _links: Vec<Box<dyn Any + Send>>,
    /// Maps that somebody will take.
    maps: BTreeMap<&'static str, Map>,
    verified_instructions: Vec<(String, u32)>,
    counters: Arc<CounterMap>,
    throttle: Option<Throttle>,
    /// What is not seen: the plan's blind spots, and those of optional programs that were refused.
    pub blind_spots: Vec<String>,
    /// Optional programs that the kernel refused, and why.
    pub refused: Vec<String>,
    tls_programs: Option<TlsPrograms>,
}

/// The programs for functions of TLS libraries, not loaded yet: the kernel takes the better part of a second to verify
/// them, for which nothing else has to wait.
pub struct TlsPrograms {
    /// Given up once they are loaded.
    object: Ebpf,
    /// Before any was taken out.
    maps: BTreeMap<String, OwnedFd>,
    counters: Arc<CounterMap>,
    has_loop: bool,
}

impl TlsPrograms {
    /// Loads them; without all of them none is of use.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn load(mut self) -> Result<Programs> {
        let names = library::all_programs(self.has_loop);
        let programs = match self.load_for_links(&names) {
            Ok(programs) => Programs::new(programs, true),
            Err(error) => {
                tracing::debug!(error = %format!("{error:#}"), "a perf event for every probe");
                Programs::new(self.load_for_events(&names)?, false)
            }
        };
        let watched = programs.descriptors().map(OwnedFd::try_clone);
        self.counters.watch(
            watched
                .collect::<Result<_, _>>()
                .context("cannot keep a program's descriptor")?,
        );
        Ok(programs)
    }

    fn load_for_links(&self, names: &[&str]) -> Result<BTreeMap<String, OwnedFd>> {
        many::load(&object_bytes()?, &self.maps, names)
    }

    fn load_for_events(&mut self, names: &[&str]) -> Result<BTreeMap<String, OwnedFd>> {
        let mut load = |name: &str| -> Result<OwnedFd> {
            let program: &mut UProbe = self
                .object
                .program_mut(name)
                .ok_or_else(|| anyhow!("the kernel object has no program {name}"))?
                .try_into()?;
            program
                .load()
                .with_context(|| format!("the kernel refused program {name}"))?;
            Ok(program.fd()?.as_fd().try_clone_to_owned()?)
        };
        names
            .iter()
            .map(|name| Ok(((*name).to_owned(), load(name)?)))
            .collect()
    }
}

impl Attached {
    /// Takes the rings out, in index order; to be called once.
    ///
    /// # Errors
    /// When a ring is missing from the object or was taken before.
    pub fn take_rings(&mut self, count: u32) -> Result<Vec<Ring>> {
        RINGS
            .iter()
            .take(count as usize)
            .map(|name| Ring::new(self.take_map(name)?).with_context(|| format!("cannot map {name}")))
            .collect()
    }

    /// The ring of processes. To be called once.
    ///
    /// # Errors
    /// When it is missing from the object or was taken before.
    pub fn take_processes(&mut self) -> Result<Ring> {
        Ring::new(self.take_map("PROCESSES")?).context("cannot map PROCESSES")
    }

    /// The table of processes whose TLS is let alone. To be called once.
    ///
    /// # Errors
    /// When it is missing from the object or was taken before.
    pub fn take_excluded(&mut self) -> Result<Excluded> {
        Excluded::try_from(self.take_map("TLS_EXCLUDED")?)
            .context("the kernel object's TLS_EXCLUDED is of another type")
    }

    /// What has sockets left alone; to be called once.
    ///
    /// # Errors
    /// When the table is missing from the object or was taken before.
    pub fn take_told(&mut self) -> Result<Told> {
        let map = HashMap::try_from(self.take_map("TOLD")?)
            .context("the kernel object's TOLD is of another type")?;
        Ok(Told { map })
    }

    /// The programs for functions of TLS libraries, if they are wanted. To be called once.
    pub fn take_tls_programs(&mut self) -> Option<TlsPrograms> {
        self.tls_programs.take()
    }

    /// The programs' counters.
    pub fn counters(&self) -> KernelCounters {
        self.counters.read()
    }

    /// What changes the programs' budgets while they run; to be called once.
    pub fn take_throttle(&mut self) -> Option<Throttle> {
        self.throttle.take()
    }

    /// The counters themselves, for another thread.
    pub fn counter_map(&self) -> Arc<CounterMap> {
        Arc::clone(&self.counters)
    }

    /// Verifier instruction counts by program, where the kernel tells (5.16).
    pub fn verified_instructions(&self) -> Vec<(String, u32)> {
        self.verified_instructions.clone()
    }

    fn take_map(&mut self, name: &str) -> Result<Map> {
        let map = self.maps.remove(name);
        map.ok_or_else(|| anyhow!("the kernel object has no map {name}"))
    }
}

/// Maps that are taken out of [`Attached`], beside the rings.
const TAKEN: [&str; 3] = ["PROCESSES", "TLS_EXCLUDED", "TOLD"];

fn verified_instructions(ebpf: &Ebpf) -> Vec<(String, u32)> {
    let counts = ebpf.programs().filter_map(|(name, program)| {
        let info = program.info().ok()?;
        Some((name.to_owned(), info.verified_instruction_count()?))
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort();
    counts
}

/// Loads the object and attaches the plan.
///
/// # Errors
/// When the object cannot be read or loaded, or a required program is refused.
pub fn attach(
    reading: Reading,
    mut plan: AttachPlan,
    features: &Features,
    offsets: Offsets,
    options: LoadOptions,
) -> Result<Attached> {
    let (mut loader, btf) = reading.done()?;
    let (offsets, settings) = (Constant(offsets), Constant(settings(features, &plan, options)));
    loader
        .override_global("OFFSETS", &offsets, true)
        .override_global("SETTINGS", &settings, true);
    for ring in RINGS.iter().take(options.rings as usize) {
        loader.map_max_entries(ring, options.ring_bytes);
    }
    // The slots of programs for library functions are the last.
    if plan.tier == 1 && !options.tls {
        let slots = if features.preemptible_tracepoints {
            TIER1_SPARE_SLOTS
        } else {
            TIER1_SLOTS
        };
        loader.map_max_entries("SCRATCH", slots);
        loader.map_max_entries("COUNTERS", slots);
    }
    if !features.tracing_sk_storage {
        loader.map_max_entries("SOCKETS", MAX_TABLE_SOCKETS);
    }
    loader.map_max_entries("PROCESSES", PROCESS_RING_BYTES);
    if plan.older_from_proc {
        loader.map_max_entries("OLDER", MAX_OLDER);
    }
    if options.tls {
        for (map, entries) in tls_tables(options.tls_sessions) {
            loader.map_max_entries(map, entries);
        }
    }
    let mut ebpf = loader
        .load(&object_bytes()?)
        .context("cannot load the kernel object")?;
    let maps = many::maps(&ebpf)?;
    // Before anything is attached: a budget of nothing would show the agent nothing but the ends of messages.
    let mut control = Throttle::new(ebpf.take_map("CONTROL"))?;
    control.set(options.control())?;
    let (mut refused, mut links) = (Vec::new(), Vec::new());
    let (processes, sockets): (Vec<_>, Vec<_>) = std::mem::take(&mut plan.attachments)
        .into_iter()
        .partition(|attachment| attachment.target.starts_with(PROCESSES));
    for attachments in [sockets, processes] {
        let loaded = load_all(&mut ebpf, &attachments, &btf);
        for (attachment, loaded) in attachments.iter().zip(loaded) {
            let attached = loaded.and_then(|()| attach_one(&mut ebpf, attachment));
            match (attached, &attachment.without) {
                (Ok(link), _) => links.extend(link),
                (Err(error), None) => return Err(error),
                (Err(error), Some(without)) => {
                    plan.blind(without);
                    refused.push(format!("{error:#}"));
                }
            }
        }
    }
    if plan.older_from_proc && !tell_older(&mut ebpf)? {
        plan.blind(OLDER_OVERFLOW);
    }
    let counters = ebpf
        .take_map("COUNTERS")
        .ok_or_else(|| anyhow!("the kernel object has no map COUNTERS"))?;
    let counters = match counters {
        Map::PerCpuArray(_) => {
            let map = PerCpuArray::try_from(counters).context("cannot read the counters")?;
            CounterMap::new(map, program_descriptors(&ebpf)?)
        }
        _ => bail!("the kernel object's COUNTERS is of another type"),
    };
    let counters = Arc::new(counters);
    let taken = RINGS.iter().chain(&TAKEN);
    let taken = taken
        .filter_map(|name| Some((*name, ebpf.take_map(name)?)))
        .collect();
    let verified_instructions = verified_instructions(&ebpf);
    let tls_programs = options.tls.then(|| TlsPrograms {
        object: ebpf,
        maps,
        counters: Arc::clone(&counters),
        has_loop: features.bpf_loop,
    });
    Ok(Attached {
        _links: links,
        maps: taken,
        verified_instructions,
        counters,
        throttle: Some(control),
        blind_spots: plan.blind_spots,
        refused,
        tls_programs,
    })
}

/// Tracepoints of processes begin so. Their programs come last: capture does not wait for them to be verified, and what happens
/// to processes meanwhile is in /proc, which is read afterwards.
const PROCESSES: &str = "sched_process_";

/// Said when the table of older sockets is too small.
const OLDER_OVERFLOW: &str = "more sockets were open before the start than are marked as joined late";

/// Tells the programs, which are at work already, what sockets are older than they; false when that are too many.
fn tell_older(ebpf: &mut Ebpf) -> Result<bool> {
    let map = ebpf
        .map_mut("OLDER")
        .ok_or_else(|| anyhow!("the kernel object has no map OLDER"))?;
    let mut older: HashMap<_, u64, u8> = HashMap::try_from(map).context("cannot use OLDER")?;
    let (inodes, all) = older::sockets(Path::new("/proc"), MAX_OLDER as usize);
    for inode in inodes {
        older.insert(inode, 1, 0).context("cannot fill OLDER")?;
    }
    Ok(all)
}

fn settings(features: &Features, plan: &AttachPlan, options: LoadOptions) -> Settings {
    Settings {
        own_tgid: if options.observe_self {
            0
        } else {
            std::process::id()
        },
        rings: options.rings,
        wakeup_bytes: options.ring_bytes / 8,
        wakeup_interval_ns: WAKEUP_INTERVAL_NS,
        // Before 5.15 the programs cannot tell groups below it: they tell of all processes there.
        scope_cgroup: if features.task_pt_regs {
            options.scope_cgroup
        } else {
            0
        },
        has_task_pt_regs: features.task_pt_regs.into(),
        has_sk_storage: features.tracing_sk_storage.into(),
        has_task_btf: features.task_btf.into(),
        has_socket_cookie: features.socket_cookie.into(),
        has_spares: features.preemptible_tracepoints.into(),
        thread_size: features.thread_size,
        tls: options.tls.into(),
        has_older: plan.older_from_proc.into(),
        never: 0,
    }
}

/// Programs, and those that do their work when the kernel leaves them out.
const STAND_INS: [(&str, &str); 7] = [
    ("on_destroy", "on_destroy_spare"),
    ("on_state", "on_state_spare"),
    ("on_unix_release", "on_unix_release_spare"),
    ("on_send", "on_send_spare"),
    ("on_send_spare", "on_send_third"),
    ("on_receive", "on_receive_spare"),
    ("on_receive_spare", "on_receive_third"),
];

/// The programs that were loaded and have no stand-in, to ask the kernel how often it left them out.
fn program_descriptors(ebpf: &Ebpf) -> Result<Vec<OwnedFd>> {
    let is_loaded = |name: &str| ebpf.program(name).is_some_and(|program| program.fd().is_ok());
    let has_stand_in = |name: &str| {
        STAND_INS
            .iter()
            .any(|(program, stand_in)| *program == name && is_loaded(stand_in))
    };
    ebpf.programs()
        .filter(|(name, _)| !has_stand_in(name))
        .filter_map(|(_, program)| program.fd().ok())
        .map(|program| {
            program
                .as_fd()
                .try_clone_to_owned()
                .context("cannot keep a program's descriptor")
        })
        .collect()
}
