import Domain

/// Lets so many requests start in a second, evenly spread.
struct RateLimit: Sendable {
    private let interval: Duration
    /// When the next request may start.
    private(set) var nextAt: Timestamp?

    /// - Parameter perSecond: nil sets no limit.
    init(perSecond: Double?) { interval = perSecond.map { .seconds(1 / $0) } ?? .zero }

    func admits(_ now: Timestamp) -> Bool { nextAt.map { now >= $0 } ?? true }

    mutating func start(_ now: Timestamp) {
        guard interval > .zero else { return }
        nextAt = max(nextAt ?? now, now) + interval
    }
}
