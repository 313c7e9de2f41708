import Domain

/// What an operator sees of an endpoint's deliveries.
package struct EndpointStatus: Sendable {
    /// `healthy`, `failing`, `paused`, `disabled` or `unusable`.
    package var state = "healthy"
    /// Why it is in that state, if it is not a good one.
    package var reason: String?
    /// Everything up to here is settled.
    package var position: Int64 = 0
    /// Events of the log behind the head that have not been looked at or settled.
    package var lagEvents: Int64 = 0
    /// Age of the oldest event that is not settled; 0 where none waits.
    package var lagSeconds = 0.0
    package var requestsInFlight = 0
    package var eventsInFlight = 0
    package var failures = 0
    package var failingSince: Timestamp?
    package var nextRetry: Timestamp?
    package var setAside = 0
    package var counts = DeliveryCounts()
    package var replays: [Int: Int64] = [:]
}

/// What has happened at an endpoint since the process started.
package struct DeliveryCounts: Sendable {
    package var delivered = 0
    package var attempts: [AttemptOutcome: Int] = [:]
    /// Requests that went over a connection that was open already.
    package var reused = 0
    /// Of the last failure.
    package var lastError: String?
    package var lastErrorAt: Timestamp?
    package var lastDeliveryAt: Timestamp?

    /// Events in a successful request, on average.
    package var batchFill: Double {
        let requests = attempts[.delivered] ?? 0
        return requests == 0 ? 0 : Double(delivered) / Double(requests)
    }
}

/// How an attempt to deliver ended, as metrics tell them apart.
package enum AttemptOutcome: String, Sendable, CaseIterable {
    case delivered
    /// The endpoint answered with a status that is no success.
    case rejected
    case timedOut = "timed_out"
    /// No connection, or one that broke.
    case unreachable
}

/// What came back from a sample that was sent on request.
package struct TestReport: Sendable {
    package var url = ""
    package var requestHeaders: [(name: String, value: String)] = []
    package var requestBody: [UInt8] = []
    /// 0 where no answer came.
    package var status = 0
    package var answerHeaders: [(name: String, value: String)] = []
    package var answer: [UInt8] = []
    /// Why there is no answer.
    package var error: String?
    package var seconds = 0.0
    package var address: String?
}
