import Domain
import JSON
import Postgres
import Proof

/// The sequencer's reasoning, without a thread or a socket: which events a batch of submissions
/// becomes, and where they stand in the log.
///
/// Invariants:
/// - ``head``, ``state`` and ``tiles`` are those of the last commit known to have succeeded.
/// - A batch starts at ``head``; only ``commit(_:)`` moves it, so a batch that failed leaves nothing.
/// - Positions are contiguous, versions count each stream's events, recordedAt never decreases.
struct SequencerCore: Sendable {
    private(set) var head: Head
    private(set) var state: State
    private(set) var tiles: TreeTiles
    private var generator = EventIDRandomness()

    init(head: Head, state: State, tiles: TreeTiles) {
        self.head = head
        self.state = state
        self.tiles = tiles
    }

    /// What these commands' decisions ask for and PostgreSQL could know.
    func factsNeeded(by submissions: [Submission]) -> FactsNeeded {
        var needed = FactsNeeded()
        for submission in submissions { needed.add(submission.command) }
        needed.placed.removeAll { !$0.isValid || !isOpen($0.experiment) }
        needed.scored.removeAll { !$0.isValid }
        needed.quarantined.removeAll { !$0.isValid }
        needed.rollouts.removeAll { !isValidSubject($0.key) }
        return needed
    }

    /// Whether the experiment gives variants to new units.
    private func isOpen(_ experiment: ExperimentKey) -> Bool {
        switch experiment {
        case .managed(let id): state.experiments[id]?.status == .active
        case .step: true
        }
    }

    /// Decides the submissions one after the other; a refused one leaves no trace in the batch.
    ///
    /// `send` takes the events' rows bit by bit, to be stored while the next are decided.
    mutating func prepare<E: Error>(
        _ submissions: [Submission], facts: Facts, kept: [String: KeptAnswer], clock: Timestamp,
        send: (CopyRows) throws(E) -> Void
    ) throws(E) -> Batch {
        var batch = begin(facts: facts, kept: kept, clock: clock)
        for submission in submissions {
            batch.add(submission, ids: &generator)
            try send(batch.takeRows())
        }
        return batch
    }

    /// Decides the submissions as above, and keeps all rows in the batch.
    mutating func prepare(
        _ submissions: [Submission], facts: Facts = Facts(), kept: [String: KeptAnswer],
        clock: Timestamp
    ) -> Batch {
        var batch = begin(facts: facts, kept: kept, clock: clock)
        for submission in submissions { batch.add(submission, ids: &generator) }
        return batch
    }

    private func begin(
        facts: Facts, kept: [String: KeptAnswer], clock: Timestamp
    ) -> Batch {
        let now = max(clock, head.recordedAt)
        let decider = Decider(
            state: state, facts: facts, now: now, nextPosition: head.position + 1)
        return Batch(head: head, tiles: tiles, recordedAt: now, decider: decider, kept: kept)
    }

    /// Takes over what a batch did, once it is known to be committed.
    mutating func commit(_ batch: Batch) {
        head = batch.head
        state = batch.decider.state
        tiles = batch.tiles
    }
}

/// The events of one commit, with the answers that wait for it.
struct Batch: Sendable {
    /// The head the batch starts from.
    let start: Head
    /// The head once the batch is committed.
    private(set) var head: Head
    private(set) var tiles: TreeTiles
    private(set) var tilesCompleted: [TreeTile] = []
    private(set) var decider: Decider
    private(set) var answers: [(Submission, Result<Receipt, SequencerError>)] = []
    private(set) var placed: [(UnitKey, Placement)] = []
    private(set) var events = EventRows()
    private(set) var answersKept = IdempotencyRows()

    /// Of the event that follows ``start``.
    private(set) var firstEventID: EventID?
    /// A key under which the batch keeps an answer, if it keeps any.
    private(set) var firstKeptKey: String?
    private var kept: [String: KeptAnswer]
    /// The versions of the streams up to the last event recorded.
    private var versions: [String: Int64]
    private let recordedAt: [UInt8]
    private var line = JSONWriter(capacity: 1024)

    fileprivate init(
        head: Head, tiles: TreeTiles, recordedAt: Timestamp, decider: Decider,
        kept: [String: KeptAnswer]
    ) {
        start = head
        self.head = head
        self.tiles = tiles
        self.recordedAt = recordedAt.bytes
        self.decider = decider
        self.kept = kept
        versions = decider.state.versions
    }

    var eventCount: Int { events.count }

    fileprivate mutating func takeRows() -> CopyRows { events.take() }

    /// Whether there is anything to commit.
    var hasRows: Bool { events.count > 0 || answersKept.rows.count > 0 }

    /// The time all events of the batch are recorded at.
    var now: Timestamp { decider.now }

    fileprivate mutating func add(
        _ submission: Submission, ids: inout some RandomNumberGenerator
    ) {
        let result: Result<Receipt, SequencerError>
        do throws(Refusal) {
            if let replayed = try replay(submission) {
                result = .success(replayed)
            } else {
                let receipt = try decide(submission, ids: &ids)
                keep(receipt, submission)
                result = .success(receipt)
            }
        } catch { result = .failure(.refused(error)) }
        answers.append((submission, result))
    }

    // MARK: Repetitions

    private func replay(_ submission: Submission) throws(Refusal) -> Receipt? {
        guard let key = submission.idempotencyKey, let earlier = kept[key] else { return nil }
        guard earlier.request == submission.context.idempotency?.request else {
            throw Refusal(
                .keyReused,
                "This Idempotency-Key came before with another request; use a new key for a new "
                    + "request.")
        }
        var receipt = Receipt()
        receipt.replayedAnswer = earlier.answer
        return receipt
    }

    /// The place of a proposal that is in the log already.
    private func place(of proposal: some Proposal) throws(Refusal) -> RecordedEvent? {
        guard let id = proposal.id, let earlier = kept[Submission.key(of: id)] else { return nil }
        guard earlier.request == proposal.requestDigest else {
            throw Refusal(
                .keyReused, "Event \(id) is in the log with other data; give a new event a new id.")
        }
        return RecordedEvent(place: earlier.answer, type: proposal.type)
    }

    // MARK: Deciding

    private mutating func decide(
        _ submission: Submission, ids: inout some RandomNumberGenerator
    ) throws(Refusal) -> Receipt {
        switch submission.command {
        case .append(let proposals):
            return try decide(proposals, Command.append, submission, ids: &ids)
        case .score(let requests):
            return try decide(requests, Command.score, submission, ids: &ids)
        default:
            let decision = try decider.decide(submission.command)
            return record(decision, of: submission, ids: &ids)
        }
    }

    /// Decides those of the proposals that are not in the log already.
    private mutating func decide<P: Proposal>(
        _ proposals: [P], _ command: ([P]) -> Command, _ submission: Submission,
        ids: inout some RandomNumberGenerator
    ) throws(Refusal) -> Receipt {
        guard proposals.contains(where: { $0.id != nil }) else {
            let decision = try decider.decide(command(proposals))
            var receipt = record(decision, of: submission, ids: &ids)
            receipt.appended = decision.proposed.map { receipt.events[$0] }
            return receipt
        }
        try refuseRepeatedIDs(proposals)
        var places: [RecordedEvent?] = []
        for proposal in proposals { places.append(try place(of: proposal)) }
        let new = zip(proposals, places).filter { $0.1 == nil }.map(\.0)
        var receipt = Receipt()
        if !new.isEmpty {
            let decision = try decider.decide(command(new))
            receipt = record(decision, of: submission, ids: &ids)
            var recorded = decision.proposed.makeIterator()
            for (index, place) in places.enumerated() where place == nil {
                guard let event = recorded.next() else { continue }
                places[index] = receipt.events[event]
                keep(proposals[index], receipt.events[event])
            }
        }
        receipt.appended = places.compactMap { $0 }
        receipt.position = head.position
        receipt.isReplay = new.isEmpty
        return receipt
    }

    private func refuseRepeatedIDs(_ proposals: [some Proposal]) throws(Refusal) {
        var seen: Set<EventID> = []
        for (index, proposal) in proposals.enumerated() {
            guard let id = proposal.id, !seen.insert(id).inserted else { continue }
            throw .invalid([
                Problem("/\(index)/id", "Event \(id) is in this request twice; each has its own.")
            ])
        }
    }

    /// Keeps the answer to a request that has an idempotency key, once its receipt is complete.
    private mutating func keep(_ receipt: Receipt, _ submission: Submission) {
        guard let idempotency = submission.context.idempotency,
            let key = submission.idempotencyKey
        else { return }
        keep(key, KeptAnswer(request: idempotency.request, answer: idempotency.answer(receipt)))
    }

    private mutating func keep(_ proposal: some Proposal, _ place: RecordedEvent) {
        guard let id = proposal.id else { return }
        keep(
            Submission.key(of: id),
            KeptAnswer(request: proposal.requestDigest, answer: place.place))
    }

    private mutating func keep(_ key: String, _ answer: KeptAnswer) {
        kept[key] = answer
        firstKeptKey = firstKeptKey ?? key
        answersKept.append(key, answer, at: now)
    }

    // MARK: Recording

    private mutating func record(
        _ decision: Decision, of submission: Submission, ids: inout some RandomNumberGenerator
    ) -> Receipt {
        var receipt = Receipt()
        receipt.resources = decision.resources
        receipt.assignments = decision.assignments
        receipt.selection = decision.selection
        placed += decision.placed
        for decided in decision.events {
            let recorded = record(decided, submission.context, ids: &ids)
            // Answers say it all, and there may be thousands.
            if decided.event.placesUnit, decision.proposed.isEmpty { continue }
            receipt.events.append(recorded)
        }
        receipt.position = head.position
        return receipt
    }

    private mutating func record(
        _ decided: DecidedEvent, _ context: CommandContext,
        ids: inout some RandomNumberGenerator
    ) -> RecordedEvent {
        let stream = decided.event.stream
        var recorded = RecordedEvent(
            position: head.position + 1, id: decided.id ?? EventID(at: now, using: &ids),
            stream: stream, version: decided.version ?? nextVersion(of: stream),
            type: decided.event.type, data: decided.event.data)
        if case .scoreRecorded(let score) = decided.event { recorded.variant = score.variant }
        let correlation = decided.correlation ?? context.correlation
        firstEventID = firstEventID ?? recorded.id
        line.bytes.removeAll(keepingCapacity: true)
        line.line(
            position: recorded.position, id: recorded.id, stream: stream,
            version: recorded.version, type: recorded.type, recordedAt: recordedAt,
            actor: context.actor, data: recorded.data, correlation: correlation)
        tiles.append(
            MerkleFrontier.leaf(line.bytes), to: &head.frontier, completed: &tilesCompleted)
        head.position += 1
        head.recordedAt = now
        events.append(recorded, at: now, actor: context.actor, correlation: correlation)
        return recorded
    }

    private mutating func nextVersion(of stream: String) -> Int64 {
        versions[stream, default: 0] += 1
        return versions[stream, default: 0]
    }
}
