import Domain

/// Whether an endpoint takes deliveries, and when to try again if it does not.
///
/// One clock for the whole endpoint: while it is down one request at a time is sent, however many
/// events wait. Pure: the time and the random numbers are the caller's.
package struct Health: Sendable, Equatable {
    /// The waits before the retries; the last one repeats.
    ///
    /// The schedule of Standard Webhooks, drawn out: five days of outage are bridged.
    static let retryDelays: [Duration] = [
        .zero, .seconds(5), .seconds(300), .seconds(1_800), .seconds(7_200), .seconds(18_000),
        .seconds(36_000), .seconds(50_400), .seconds(72_000), .seconds(86_400),
    ]
    /// The share of a wait that is added at most, so that endpoints do not come back all at once.
    static let jitterMax = 0.2
    /// What an endpoint may ask for; at once, again and again, would be a busy loop.
    static let retryAfter = Duration.seconds(1)...Duration.seconds(86_400)
    /// An endpoint that has failed for so long is disabled.
    static let failingMax = Duration.seconds(5 * 86_400)

    /// Failed attempts in a row; 0 while all is well.
    package private(set) var failures = 0
    /// The first of them.
    package private(set) var failingSince: Timestamp?
    /// The last of them.
    private var failedAt: Timestamp?
    /// When the next attempt may be made; nil while all is well.
    package private(set) var retryAt: Timestamp?
    /// Requests that may be in flight at once.
    package private(set) var concurrency: Int
    private let concurrencyMax: Int

    package init(concurrencyMax: Int) {
        self.concurrencyMax = concurrencyMax
        concurrency = concurrencyMax
    }

    package var isDown: Bool { retryAt != nil }

    /// Goes on from where another process left off.
    package mutating func restore(
        failures: Int, failingSince: Timestamp?, retryAt: Timestamp?
    ) {
        self.failures = failures
        self.failingSince = failingSince
        self.retryAt = retryAt
        failedAt = failingSince
    }

    /// Whether another request may be started beside those in flight.
    package func admits(inFlight: Int, now: Timestamp) -> Bool {
        guard let retryAt else { return inFlight < concurrency }
        return inFlight == 0 && now >= retryAt
    }

    /// Notes an answer that shows the endpoint at work.
    package mutating func answered(sentAt: Timestamp) {
        if concurrency < concurrencyMax { concurrency += 1 }
        // What was sent before the failure says nothing about the time after it.
        if let failedAt, sentAt < failedAt { return }
        failures = 0
        failingSince = nil
        failedAt = nil
        retryAt = nil
    }

    /// Notes a failed attempt.
    ///
    /// - Parameters:
    ///   - retryAfter: what the endpoint itself asked for.
    ///   - isOverload: whether fewer requests at once may help.
    ///   - random: in 0..<1.
    /// - Returns: whether it has failed for too long.
    package mutating func failed(
        sentAt: Timestamp, now: Timestamp, retryAfter: Duration?, isOverload: Bool, random: Double
    ) -> Bool {
        if isOverload { concurrency = max(1, concurrency / 2) }
        // Requests that were in flight together fail together: that is one failure.
        if let failedAt, sentAt < failedAt, isDown {
            if let retryAfter { wait(retryAfter, now) }
            return false
        }
        failures += 1
        failedAt = now
        failingSince = failingSince ?? now
        if let retryAfter {
            retryAt = nil
            wait(retryAfter, now)
        } else {
            let delay = Self.retryDelays[min(failures, Self.retryDelays.count) - 1]
            retryAt = now + delay * (1 + Self.jitterMax * random)
        }
        return failingSince.map { now - $0 >= Self.failingMax } ?? false
    }

    private mutating func wait(_ duration: Duration, _ now: Timestamp) {
        let until = now + min(max(duration, Self.retryAfter.lowerBound), Self.retryAfter.upperBound)
        retryAt = max(until, retryAt ?? until)
    }

    /// Forgets all failures, as when an operator says that the endpoint is well again.
    package mutating func reset() { self = Health(concurrencyMax: concurrencyMax) }
}

extension Timestamp {
    package static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(microseconds: time.microseconds + duration.microseconds)
    }

    package static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .microseconds(later.microseconds - earlier.microseconds)
    }
}

extension Duration {
    package var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
