/// Whether to look subjects up before deciding, or to take those not in the cache for new.
///
/// The log's unique index on (stream, version) finds out when a subject was not new after all: the
/// commit fails as a whole, and the batch is decided again after a look-up. While look-ups keep
/// finding nothing that is the cheaper way; each time it was wrong it takes longer to be tried again.
struct LookUpPolicy: Sendable {
    private static let trialsMin = 8
    private static let trialsMax = 4_096

    /// Look-ups in a row that found no one.
    private var vain = 0
    private var trials = Self.trialsMin

    /// Whether subjects that are not in the cache are taken for new.
    var assumesNew: Bool { vain >= trials }

    /// Notes what a look-up found.
    mutating func lookedUp(found: Int) { vain = found == 0 ? vain + 1 : 0 }

    /// Notes that a subject taken for new was not.
    mutating func wasWrong() {
        vain = 0
        trials = min(trials * 4, Self.trialsMax)
    }
}
