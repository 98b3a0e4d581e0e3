//! Which changes belong together: those that came at the same time, went the same way, and share something.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A change of one series, as far as its company is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// It came no earlier than this, in unix seconds.
    pub earliest: i64,
    /// And no later than this.
    pub latest: i64,
    /// Whether it is for the worse or for the better: up and down mean other things for other figures.
    pub is_worse: bool,
    /// How much users feel of it; any unit.
    pub effect: f64,
    /// What it could have in common with others, such as `query 3f9a`, `service shop`; the most telling first.
    pub shares: Vec<String>,
}

/// Changes with a likely common cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they share; nothing where there is only one.
    pub shared: Option<String>,
    /// Places of the members, the greatest effect first.
    pub members: Vec<usize>,
}

/// How far apart two changes may be that have one cause, in seconds: two steps of five minutes, since one cause reaches
/// busy endpoints before it shows in quiet ones.
const TOLERANCE: i64 = 600;

/// Puts changes together, the group with the greatest effect first. Each is in one group.
///
/// Greedy: what most changes share at one time is taken for their cause, and of what as many share, the most telling.
/// Clustering by the shapes of the series would find company without a cause to name.
pub fn groups(members: &[Member]) -> Vec<Group> {
    let mut left: BTreeSet<usize> = (0..members.len()).collect();
    let mut groups = Vec::new();
    while let Some((shared, places)) = largest(members, &left) {
        left.retain(|place| !places.contains(place));
        groups.push(Group { shared: Some(shared.to_owned()), members: places });
    }
    groups.extend(left.into_iter().map(|place| Group { shared: None, members: vec![place] }));
    for group in &mut groups {
        group.members.sort_by(|&one, &other| members[other].effect.total_cmp(&members[one].effect));
    }
    let effect = |group: &Group| group.members.iter().map(|&place| members[place].effect).sum::<f64>();
    groups.sort_by(|one, other| effect(other).total_cmp(&effect(one)));
    groups
}

/// The largest group of two or more among those that are left.
fn largest<'a>(members: &'a [Member], left: &BTreeSet<usize>) -> Option<(&'a str, Vec<usize>)> {
    // By what is shared and which way it goes: how telling that is, and who.
    let mut sharing: BTreeMap<(&str, bool), (usize, Vec<usize>)> = BTreeMap::new();
    for &place in left {
        for (rank, share) in members[place].shares.iter().enumerate() {
            sharing.entry((share, members[place].is_worse)).or_insert((rank, Vec::new())).1.push(place);
        }
    }
    let together =
        sharing.into_iter().map(|((share, _), (rank, places))| (rank, share, at_one_time(members, &places)));
    let (_, share, places) = together
        .filter(|(.., places)| places.len() > 1)
        .max_by_key(|(rank, _, places)| (places.len(), Reverse(*rank)))?;
    Some((share, places))
}

/// Most of these that have a moment in common.
fn at_one_time(members: &[Member], places: &[usize]) -> Vec<usize> {
    let holds = |place: usize, at: i64| {
        let member = &members[place];
        member.earliest.saturating_sub(TOLERANCE) <= at && at <= member.latest.saturating_add(TOLERANCE)
    };
    // The most are together at a moment when one of them begins.
    let begins = places.iter().map(|&place| members[place].earliest.saturating_sub(TOLERANCE));
    let at = |at: i64| places.iter().copied().filter(|&place| holds(place, at)).collect::<Vec<_>>();
    begins.map(at).max_by_key(Vec::len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(at: i64, is_worse: bool, effect: f64, shares: &[&str]) -> Member {
        let shares = shares.iter().map(|share| (*share).to_owned()).collect();
        Member { earliest: at - 300, latest: at + 300, is_worse, effect, shares }
    }

    #[test]
    fn what_came_at_once_and_shares_most_is_one_group() {
        let members = [
            member(0, true, 1.0, &["query 7", "service shop"]),
            member(300, true, 9.0, &["query 7", "service shop"]),
            member(600, true, 2.0, &["query 8", "service shop"]),
            member(0, false, 3.0, &["service shop"]),
            member(90_000, true, 4.0, &["service shop"]),
            member(0, true, 5.0, &["service mail"]),
        ];
        let groups = groups(&members);
        let told: Vec<_> =
            groups.iter().map(|group| (group.shared.as_deref(), group.members.as_slice())).collect();
        let expected: [(_, &[usize]); 4] =
            [(Some("service shop"), &[1, 2, 0]), (None, &[5]), (None, &[4]), (None, &[3])];
        assert_eq!(told, expected);
    }

    #[test]
    fn of_what_as_many_share_the_most_telling_is_the_cause() {
        let members = [0, 60].map(|at| member(at, true, 1.0, &["query 7", "service shop"]));
        assert_eq!(groups(&members)[0].shared.as_deref(), Some("query 7"));
        assert_eq!(groups(&[]), []);
    }
}
