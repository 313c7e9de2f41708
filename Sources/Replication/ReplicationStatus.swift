import Synchronization

/// How a follower stands to its source.
package struct ReplicationStatus: Sendable, Equatable {
    package enum State: String, Sendable {
        /// Nothing was heard of the source since the start.
        case connecting
        /// Taking in what was recorded before.
        case catchingUp = "catching-up"
        /// Holding what the source holds, but for what is on its way.
        case live
        /// The source does not answer.
        case disconnected
        /// The source sent what does not fit; nothing is served.
        case diverged
        /// A leader of its own since a promotion.
        case promoted
    }

    package var state: State
    package var source: String
    /// Of the last event stored.
    package var position: Int64
    /// Of the source's last event, as far as is known.
    package var sourcePosition: Int64?
    /// Of the last event that a signed checkpoint covers.
    package var verifiedPosition: Int64
    package var lagEvents: Int64
    /// Since when the follower is known to have held all that its source did.
    package var lagSeconds: Double
    package var divergence: Divergence?
    /// Why the source can't be followed at the moment.
    package var trouble: String?
}

/// What the threads of a follower note for its status.
struct ReplicationNotes: Sendable {
    var position: Int64
    var verifiedPosition: Int64
    var sourcePosition: Int64?
    /// The highest epoch that the source was led under.
    var sourceEpoch: Int64 = 0
    var divergence: Divergence?
    /// By thread, so that one's success does not hide another's trouble.
    var troubles: [Thread: String] = [:]
    var isPromoted = false
    /// When the follower last held all that its source did.
    var levelAt: ContinuousClock.Instant
    let startedAt: ContinuousClock.Instant

    enum Thread: Hashable { case lines, checkpoints, writer }

    /// Answers are at most so far apart when all is well.
    static let quietMax = Duration.seconds(4)
    /// Fewer events are on their way at any time.
    private static let backlogMin: Int64 = 20_000

    init(position: Int64, verifiedPosition: Int64, now: ContinuousClock.Instant) {
        self.position = position
        self.verifiedPosition = verifiedPosition
        levelAt = now
        startedAt = now
    }

    mutating func hear(sourcePosition: Int64, at now: ContinuousClock.Instant) {
        self.sourcePosition = sourcePosition
        if position >= sourcePosition { levelAt = now }
    }

    mutating func advance(
        to position: Int64, verified: Int64, at now: ContinuousClock.Instant
    ) {
        self.position = position
        verifiedPosition = verified
        if let sourcePosition, position >= sourcePosition { levelAt = now }
    }

    func status(source: String, at now: ContinuousClock.Instant) -> ReplicationStatus {
        let lag = max(0, (sourcePosition ?? position) - position)
        let quiet = now - levelAt
        return ReplicationStatus(
            state: state(lag: lag), source: source, position: position,
            sourcePosition: sourcePosition, verifiedPosition: verifiedPosition, lagEvents: lag,
            lagSeconds: lag == 0 && quiet < Self.quietMax ? 0 : quiet.inSeconds,
            divergence: divergence,
            trouble: troubles[.writer] ?? troubles[.lines] ?? troubles[.checkpoints])
    }

    private func state(lag: Int64) -> ReplicationStatus.State {
        if isPromoted { return .promoted }
        if divergence != nil { return .diverged }
        if troubles[.lines] != nil { return .disconnected }
        if sourcePosition == nil { return .connecting }
        return lag >= Self.backlogMin ? .catchingUp : .live
    }
}

extension Duration {
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
