/// Whether a node that does not lead looks units up before it asks the leader.
///
/// While units keep being new, looking them up is in vain; now and then it is tried all the same,
/// so that those who come again are answered without the leader once they are most.
struct RecallPolicy: Sendable {
    private static let vainMax = 8
    private static let trialInterval = 16

    /// Look-ups in a row that found no one.
    private var vain = 0
    private var skipped = 0

    /// Decides about the next unit that is not known.
    mutating func looksUp() -> Bool {
        if vain < Self.vainMax { return true }
        skipped += 1
        return skipped.isMultiple(of: Self.trialInterval)
    }

    /// Notes what a look-up found.
    mutating func lookedUp(found: Int) { vain = found == 0 ? vain + 1 : 0 }
}
