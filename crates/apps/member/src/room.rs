//! A volume that is nearly full is told before the database server finds out.

use om_backend::process::Room;
use om_model::{ByteSize, ServiceName, VolumeRole};

/// A volume with less than a tenth of its room left is told of.
const TENTH: u64 = 10;

/// What to tell of a volume that is nearly full, and what to do; `None` while it is not.
pub(crate) fn nearly_full(service: &ServiceName, role: VolumeRole, room: Room) -> Option<String> {
    if room.total == 0 || room.free >= room.total / TENTH {
        return None;
    }
    let left = ByteSize::bytes(room.free).as_mib();
    let taken = (room.total - room.free).saturating_mul(100) / room.total;
    Some(format!(
        "the {role} volume is {taken} % full ({left} MiB left): openmanage volume grow {service} --{role} SIZE"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> ServiceName {
        "orders".parse().expect("a service name")
    }

    #[test]
    fn a_volume_with_room_is_not_worth_a_word() {
        assert_eq!(nearly_full(&service(), VolumeRole::Data, Room { free: 100, total: 1000 }), None);
        assert_eq!(nearly_full(&service(), VolumeRole::Data, Room { free: 0, total: 0 }), None);
    }

    #[test]
    fn a_nearly_full_volume_is_told_with_what_to_do() {
        let room = Room { free: 5 << 20, total: 500 << 20 };
        let said = nearly_full(&service(), VolumeRole::Journal, room).expect("nearly full");
        assert!(said.starts_with("the journal volume is 99 % full (5 MiB left)"), "{said}");
        assert!(said.contains("--journal SIZE"), "{said}");
    }
}
