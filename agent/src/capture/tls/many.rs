//! Programs for functions of libraries, loaded so that one link holds one of them at many places (`uprobe_multi`, 6.6).
//!
//! In: the kernel object as it was loaded, its maps, names of programs in it. Out: descriptors of the programs. Every
//! perf event of a probe waits for several grace periods of RCU under one lock of the kernel when it is closed, a tenth of
//! a second for each; a link waits once, and links wait side by side. The loader of the other programs cannot say what a
//! link wants to know at loading (`expected_attach_type`), so these go to the kernel from here.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::CString,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use aya::{
    Ebpf,
    maps::{Map, MapData},
};
use aya_obj::{Function, Object, btf::BtfFeatures};

/// Commands of `bpf(2)` and other numbers of `include/uapi/linux/bpf.h`.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_BTF_LOAD: libc::c_long = 18;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;
const BPF_F_UPROBE_MULTI_RETURN: u32 = 1;

/// `union bpf_attr` for `BPF_BTF_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadTypes {
    types: u64,
    log: u64,
    types_size: u32,
    log_size: u32,
    log_level: u32,
    padding: u32,
}

/// The same for `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    expected_attach_type: u32,
    types: u32,
    function_record_size: u32,
    functions: u64,
    function_count: u32,
    line_record_size: u32,
    lines: u64,
    line_count: u32,
    padding: u32,
}

/// The same for `BPF_LINK_CREATE` of this kind.
#[repr(C)]
#[derive(Default)]
struct CreateLink {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    reference_counters: u64,
    cookies: u64,
    count: u32,
    multi_flags: u32,
    pid: u32,
    padding: u32,
}

const _: () = assert!(size_of::<LoadTypes>() == 32);
const _: () = assert!(size_of::<LoadProgram>() == 112);
const _: () = assert!(size_of::<CreateLink>() == 64);

/// Descriptors of the maps of a loaded object, by name.
///
/// # Errors
/// When one cannot be duplicated.
pub(crate) fn maps(object: &Ebpf) -> Result<BTreeMap<String, OwnedFd>> {
    object
        .maps()
        .filter_map(|(name, map)| Some((name, data(map)?)))
        .map(|(name, data)| Ok((name.to_owned(), data.fd().as_fd().try_clone_to_owned()?)))
        .collect::<Result<_>>()
        .context("cannot keep the descriptor of a map")
}

/// Of the kinds that the object has.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuLruHashMap(data)
        | Map::RingBuf(data)
        | Map::SkStorage(data) => Some(data),
        _ => None,
    }
}

/// Loads programs of the object that `maps` were made for.
///
/// # Errors
/// When the kernel refuses one, or has no such links.
pub(crate) fn load(
    object: &[u8],
    maps: &BTreeMap<String, OwnedFd>,
    names: &[&str],
) -> Result<BTreeMap<String, OwnedFd>> {
    let mut object = Object::parse(object)?;
    // All that kernels with such links know.
    let features = BtfFeatures::new(true, true, true, true, true, true, true, true);
    let types = object
        .fixup_and_sanitize_btf(&features)?
        .map(aya_obj::btf::Btf::to_bytes)
        .context("the kernel object has no types")?;
    let types = load_types(&types)?;
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let known = object.maps.clone();
    let known: Vec<(&str, RawFd, &aya_obj::Map)> = known
        .iter()
        .map(|(name, map)| {
            let descriptor = maps
                .get(name)
                .with_context(|| format!("no map {name} was made"))?;
            Ok((name.as_str(), descriptor.as_raw_fd(), map))
        })
        .collect::<Result<_>>()?;
    object.relocate_maps(known.into_iter(), &text)?;
    object.relocate_calls(&text)?;
    let loaded: BTreeMap<_, _> = names
        .iter()
        .map(|name| {
            let program = object.programs.get(*name);
            let program = program.ok_or_else(|| anyhow!("the kernel object has no program {name}"))?;
            let function = object.functions.get(&program.function_key());
            let function = function.ok_or_else(|| anyhow!("program {name} has no instructions"))?;
            let descriptor = load_program(name, function, &program.license, types.as_fd())
                .with_context(|| format!("the kernel refused program {name}"))?;
            Ok(((*name).to_owned(), descriptor))
        })
        .collect::<Result<_>>()?;
    if let Some(program) = loaded.values().next() {
        has_links(program.as_fd())?;
    }
    Ok(loaded)
}

fn load_types(types: &[u8]) -> Result<OwnedFd> {
    let attributes = LoadTypes {
        types: types.as_ptr() as u64,
        types_size: u32::try_from(types.len())?,
        ..LoadTypes::default()
    };
    // SAFETY: the types outlive the call.
    unsafe { bpf(BPF_BTF_LOAD, &attributes) }.context("the kernel refused the types of the programs")
}

fn load_program(
    name: &str,
    function: &Function,
    license: &CString,
    types: BorrowedFd<'_>,
) -> Result<OwnedFd> {
    let functions = function.func_info.func_info_bytes();
    let mut attributes = LoadProgram {
        kind: BPF_PROG_TYPE_KPROBE,
        instruction_count: u32::try_from(function.instructions.len())?,
        instructions: function.instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        expected_attach_type: BPF_TRACE_UPROBE_MULTI,
        types: u32::try_from(types.as_raw_fd())?,
        function_record_size: u32::try_from(function.func_info_rec_size)?,
        functions: functions.as_ptr() as u64,
        function_count: u32::try_from(function.func_info.len())?,
        ..LoadProgram::default()
    };
    // Cut as the kernel keeps it, with a zero behind.
    let (room, _) = attributes.name.split_at_mut(15);
    room.iter_mut()
        .zip(name.bytes())
        .for_each(|(to, byte)| *to = byte);
    // SAFETY: instructions, license and function records outlive the call.
    unsafe { bpf(BPF_PROG_LOAD, &attributes) }
}

/// Fails unless the kernel knows these links: one to a directory is then a bad descriptor, not a bad argument.
fn has_links(program: BorrowedFd<'_>) -> Result<()> {
    let outcome = create(program, c"/", &[0], false);
    let number = outcome
        .as_ref()
        .err()
        .and_then(|error| error.downcast_ref::<std::io::Error>()?.raw_os_error());
    ensure!(
        number == Some(libc::EBADF),
        "this kernel has no links to many functions: {outcome:?}"
    );
    Ok(())
}

/// Links a program to all these offsets of a file, at the returns of the functions there if `at_return`.
///
/// # Errors
/// When the kernel refuses one of the places: then it has none.
pub(super) fn create(
    program: BorrowedFd<'_>,
    path: &std::ffi::CStr,
    offsets: &[u64],
    at_return: bool,
) -> Result<OwnedFd> {
    let attributes = CreateLink {
        program: u32::try_from(program.as_raw_fd())?,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        count: u32::try_from(offsets.len())?,
        multi_flags: if at_return { BPF_F_UPROBE_MULTI_RETURN } else { 0 },
        ..CreateLink::default()
    };
    // SAFETY: path and offsets outlive the call.
    unsafe { bpf(BPF_LINK_CREATE, &attributes) }
}

/// A command that gives a descriptor.
///
/// # Safety
/// `attributes` has to be what the kernel reads for `command`, and what it points to has to be there.
unsafe fn bpf<T>(command: libc::c_long, attributes: &T) -> Result<OwnedFd> {
    // SAFETY: as promised by the caller; the size is that of the structure.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: a descriptor that the kernel has just given us.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(descriptor).context("descriptor")?) })
}
