//! Where the running kernel keeps the fields the programs read.
//!
//! In: BTF, of the running kernel or of a file. Out: [`Offsets`], with `ABSENT` for what this kernel does not have.
//! Refuses to guess: a field is found by structure and member name, through anonymous members, or not at all.

mod types;

use anyhow::{Context as _, Result};
use apiarist_common::offsets::{ABSENT, Offsets};

use types::{Id, Kind, Types};

/// Where kernels put their BTF.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// How deep anonymous members, and names of names, are followed. Real kernels need two.
const MAX_DEPTH: usize = 6;

/// Types of a kernel, for offset look-ups.
pub struct KernelTypes {
    types: Types,
}

impl KernelTypes {
    /// Reads the running kernel's types.
    ///
    /// # Errors
    /// When the file is missing (kernel built without `CONFIG_DEBUG_INFO_BTF`) or does not parse.
    pub fn of_running_kernel() -> Result<Self> {
        let bytes = std::fs::read(KERNEL_BTF).with_context(|| {
            format!("cannot read {KERNEL_BTF}: Apiarist needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF=y)")
        })?;
        Self::from_bytes(bytes)
    }

    /// Parses BTF.
    ///
    /// # Errors
    /// When the bytes are not BTF.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Ok(Self {
            types: Types::new(bytes).context("the kernel's BTF does not parse")?,
        })
    }

    /// Byte offset of `path` (dotted, e.g. `__sk_common.skc_family`) within `struct structure`.
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let has_members = |id: &Id| self.types.members(*id).next().is_some();
        let mut current = self.types.named(structure).find(has_members)?;
        let mut bits = 0;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let (offset, of) = self.member(current, part.as_bytes(), MAX_DEPTH)?;
            bits += offset;
            if parts.peek().is_some() {
                current = self.structure(of)?;
            }
        }
        Some(bits / 8)
    }

    /// Value of an enumerator.
    pub fn enumerator(&self, name: &str, enumerator: &str) -> Option<u32> {
        self.types
            .named(name)
            .flat_map(|id| self.types.enumerators(id))
            .find_map(|(found, value)| (found == enumerator.as_bytes()).then_some(value))
    }

    /// Whether a function (or a tracepoint's `btf_trace_` type) of this name exists.
    pub fn has(&self, name: &str) -> bool {
        self.types.named(name).next().is_some()
    }

    /// Offset in bits and type of a member, which is looked for in anonymous structures and unions too.
    fn member(&self, structure: Id, name: &[u8], depth: usize) -> Option<(u32, Id)> {
        self.types.members(structure).find_map(|member| {
            if member.name == name {
                return Some((member.bits, member.of));
            }
            let is_searched = member.name.is_empty() && depth > 0;
            let inside = self.structure(member.of).filter(|_| is_searched)?;
            let (offset, of) = self.member(inside, name, depth - 1)?;
            Some((member.bits.checked_add(offset)?, of))
        })
    }

    /// The structure or union that is meant, through typedefs and qualifiers.
    fn structure(&self, mut id: Id) -> Option<Id> {
        for _ in 0..MAX_DEPTH {
            id = match self.types.kind(id) {
                Kind::Structure => return Some(id),
                Kind::Alias(of) => of,
                Kind::Enumeration | Kind::Other => return None,
            };
        }
        None
    }

    /// All offsets the programs want.
    pub fn offsets(&self) -> Offsets {
        let at = |structure, path| self.offset(structure, path).unwrap_or(ABSENT);
        let sock = |path| at("sock", path);
        let tcp = |path| at("tcp_sock", path);
        let task = |path| at("task_struct", path);
        let iter = |path| at("iov_iter", path);
        Offsets {
            sock_family: sock("__sk_common.skc_family"),
            sock_state: sock("__sk_common.skc_state"),
            sock_dport: sock("__sk_common.skc_dport"),
            sock_num: sock("__sk_common.skc_num"),
            sock_daddr: sock("__sk_common.skc_daddr"),
            sock_saddr: sock("__sk_common.skc_rcv_saddr"),
            sock_v6_daddr: sock("__sk_common.skc_v6_daddr"),
            sock_v6_saddr: sock("__sk_common.skc_v6_rcv_saddr"),
            sock_net: sock("__sk_common.skc_net.net"),
            sock_cookie: sock("__sk_common.skc_cookie"),
            sock_type: sock("sk_type"),
            sock_protocol: sock("sk_protocol"),
            sock_flags: sock("__sk_common.skc_flags"),
            sock_socket: sock("sk_socket"),
            socket_inode: at("socket_alloc", "vfs_inode.i_ino"),
            net_inum: at("net", "ns.inum"),
            tcp_bytes_sent: tcp("bytes_sent"),
            tcp_bytes_retrans: tcp("bytes_retrans"),
            tcp_bytes_received: tcp("bytes_received"),
            tcp_copied_seq: tcp("copied_seq"),
            tcp_rcv_nxt: tcp("rcv_nxt"),
            tcp_write_seq: tcp("write_seq"),
            tcp_snd_nxt: tcp("snd_nxt"),
            tcp_ulp_ops: tcp("inet_conn.icsk_ulp_ops"),
            tcp_ulp_data: tcp("inet_conn.icsk_ulp_data"),
            ulp_name: at("tcp_ulp_ops", "name"),
            tls_conf: at("tls_context", "tx_conf"),
            unix_addr: at("unix_sock", "addr"),
            unix_peer: at("unix_sock", "peer"),
            unix_address_len: at("unix_address", "len"),
            unix_address_name: at("unix_address", "name"),
            socket_sk: at("socket", "sk"),
            task_flags: task("flags"),
            task_thread_status: if cfg!(target_arch = "x86_64") {
                task("thread_info.status")
            } else {
                task("thread_info.flags")
            },
            task_stack: task("stack"),
            task_start_boottime: self
                .offset("task_struct", "start_boottime")
                .or_else(|| self.offset("task_struct", "real_start_time"))
                .unwrap_or(ABSENT),
            task_group_leader: task("group_leader"),
            task_pid: task("pid"),
            task_tgid: task("tgid"),
            task_mm: task("mm"),
            task_fs: task("fs"),
            task_real_parent: task("real_parent"),
            task_comm: task("comm"),
            fs_pwd: at("fs_struct", "pwd"),
            mm_exe_file: at("mm_struct", "exe_file"),
            mm_arg_start: at("mm_struct", "arg_start"),
            mm_arg_end: at("mm_struct", "arg_end"),
            file_path: at("file", "f_path"),
            path_mnt: at("path", "mnt"),
            path_dentry: at("path", "dentry"),
            dentry_parent: at("dentry", "d_parent"),
            dentry_name: at("dentry", "d_name.name"),
            mount_root: at("vfsmount", "mnt_root"),
            mount_mnt: at("mount", "mnt"),
            mount_parent: at("mount", "mnt_parent"),
            mount_point: at("mount", "mnt_mountpoint"),
            msghdr_iter: at("msghdr", "msg_iter"),
            iter_type: iter("iter_type"),
            iter_offset: iter("iov_offset"),
            iter_ubuf: iter("ubuf"),
            iter_iov: self
                .offset("iov_iter", "__iov")
                .or_else(|| self.offset("iov_iter", "iov"))
                .unwrap_or(ABSENT),
            iter_segments: iter("nr_segs"),
            value_iter_ubuf: self.enumerator("iter_type", "ITER_UBUF").unwrap_or(ABSENT),
            value_iter_iovec: self.enumerator("iter_type", "ITER_IOVEC").unwrap_or(ABSENT),
        }
    }
}

#[cfg(test)]
mod tests;
