/// When the notary signs: at most once a second, at once where it has rested longer, and by itself
/// while the log moves.
struct SigningSchedule: Sendable {
    /// What to do now.
    enum Step: Sendable, Equatable {
        case sign
        /// There is something to sign, but not yet.
        case wait(Duration)
        /// All is signed.
        case rest
    }

    static let interval = Duration.seconds(1)

    /// Of the last checkpoint; nil before the first.
    private(set) var signedSize: Int64?
    private var triedAt: ContinuousClock.Instant?

    func step(head: Int64, now: ContinuousClock.Instant) -> Step {
        if signedSize == head { return .rest }
        guard let triedAt, now < triedAt + Self.interval else { return .sign }
        return .wait(triedAt + Self.interval - now)
    }

    /// Notes that signing was tried, and what it came to.
    mutating func tried(signed size: Int64?, now: ContinuousClock.Instant) {
        triedAt = now
        signedSize = size ?? signedSize
    }

    /// Whoever leads next begins anew: another node may have signed meanwhile.
    mutating func forget() { self = SigningSchedule() }
}
