//! What proves the checker: the queue without one of its protections. Each takes a piece out of one script; the checker
//! has to find what comes of it.

use clap::ValueEnum;
use dogwatch_queue::Scripts;

/// A protection that is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// Outcomes are accepted whoever has the lease.
    Fence,
    /// A job is taken out of its list without a lease, as by a plain pop.
    Claim,
    /// A slot that is enqueued is not noted as such.
    Slot,
    /// Leases are not renewed.
    Heartbeat,
    /// Jobs are stored before all that may fail was tried.
    WriteFirst,
}

impl Sabotage {
    /// The script, what stands in it, and what stands there instead.
    fn replacement(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Fence => ("settle", "if token ~= ARGV[i + 1] then", "if false then"),
            Self::Claim => ("claim", "call('ZADD', LEASES, unpack(leases))", ""),
            // The slot before is noted: whoever takes the lead over finds this one free.
            Self::Slot => {
                ("tick", "slot_field, slot, definition_field", "slot_field, int(slot - 1), definition_field")
            }
            Self::Heartbeat => ("renew", "call('ZADD', LEASES, 'XX', unpack(leases))", ""),
            Self::WriteFirst => (
                "enqueue",
                "jobs[#jobs + 1] = new_job(i) end",
                "call('HSET', DATA, ARGV[i], ARGV[i + 1]) error('something that may fail') end",
            ),
        }
    }

    /// The scripts without it.
    pub(crate) fn scripts(self) -> Scripts {
        let (script, from, to) = self.replacement();
        Scripts::altered(script, from, to)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Claim => "claim",
            Self::Slot => "slot",
            Self::Heartbeat => "heartbeat",
            Self::WriteFirst => "write-first",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_still_there_to_be_taken_out() {
        for sabotage in Sabotage::value_variants() {
            // Panics when it is not.
            let _ = sabotage.scripts();
        }
    }
}
