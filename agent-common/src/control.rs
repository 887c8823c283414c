//! What the agent may change while the programs run.

/// The one value of the `CONTROL` map. Read by the programs at the start of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Control {
    /// Bytes copied per message and direction.
    pub budget_bytes: u32,
    /// Bytes copied of messages that are not sampled: enough for nearly every head.
    pub floor_bytes: u32,
    /// A message is sampled when its number on the connection has none of these bits: 0 samples all, 1 every other,
    /// 3 every fourth.
    pub sample_mask: u32,
    /// Payload bytes that one control group may put into the rings per window and processor, once a ring is
    /// three quarters full. Overflow policy: events beyond are dropped and counted as [`crate::counter::Counter::QuotaEvents`].
    pub quota_bytes: u32,
}

const _: () = assert!(size_of::<Control>() == 16);

/// Length of a quota window as a power of two of nanoseconds: 134 ms.
pub const QUOTA_WINDOW_SHIFT: u32 = 27;

/// Control groups whose use is remembered per processor. Overflow policy: the least active is forgotten, and starts
/// its window anew.
pub const MAX_QUOTA_GROUPS: u32 = 1024;
