import Domain
import JSON
import Postgres

/// The sequencer's reasoning, without a thread or a socket: which events a batch of submissions
/// becomes, and where they stand in the log.
///
/// Invariants:
/// - ``head`` and ``state`` are those of the last commit known to have succeeded.
/// - A batch starts at ``head``; only ``commit(_:)`` moves it, so a batch that failed leaves nothing.
/// - Positions are contiguous, versions count each stream's events, recordedAt never decreases.
struct SequencerCore: Sendable {
    private(set) var head: Head
    private(set) var state: State
    private var generator = EventIDRandomness()

    init(head: Head, state: State) {
        self.head = head
        self.state = state
    }

    /// The assignments among these commands' that only the database knows about.
    func assignmentKeys(of submissions: [Submission]) -> [AssignmentKey] {
        submissions.flatMap(\.command.assignmentKeys).filter {
            state.experiments[$0.experiment]?.status == .active && isValidSubject($0.subject)
        }
    }

    /// Decides the submissions one after the other; a refused one leaves no trace in the batch.
    ///
    /// `send` takes the events' rows bit by bit, to be stored while the next are decided.
    mutating func prepare<E: Error>(
        _ submissions: [Submission], assignments: [AssignmentKey: Assignment],
        kept: [String: KeptAnswer], clock: Timestamp, send: (CopyRows) throws(E) -> Void
    ) throws(E) -> Batch {
        var batch = begin(assignments: assignments, kept: kept, clock: clock)
        for submission in submissions {
            batch.add(submission, ids: &generator)
            try send(batch.takeRows())
        }
        return batch
    }

    /// Decides the submissions as above, and keeps all rows in the batch.
    mutating func prepare(
        _ submissions: [Submission], assignments: [AssignmentKey: Assignment],
        kept: [String: KeptAnswer], clock: Timestamp
    ) -> Batch {
        var batch = begin(assignments: assignments, kept: kept, clock: clock)
        for submission in submissions { batch.add(submission, ids: &generator) }
        return batch
    }

    private func begin(
        assignments: [AssignmentKey: Assignment], kept: [String: KeptAnswer], clock: Timestamp
    ) -> Batch {
        let now = max(clock, head.recordedAt)
        let decider = Decider(
            state: state, assignments: assignments, now: now, nextPosition: head.position + 1)
        return Batch(head: head, recordedAt: now, decider: decider, kept: kept)
    }

    /// Takes over what a batch did, once it is known to be committed.
    mutating func commit(_ batch: Batch) {
        head = batch.head
        state = batch.decider.state
    }
}

/// The events of one commit, with the answers that wait for it.
struct Batch: Sendable {
    /// The head the batch starts from.
    let start: Head
    /// The head once the batch is committed.
    private(set) var head: Head
    private(set) var decider: Decider
    private(set) var answers: [(Submission, Result<Receipt, SequencerError>)] = []
    private(set) var assigned: [(AssignmentKey, Assignment)] = []
    private(set) var events = EventRows()
    private(set) var answersKept = IdempotencyRows()

    /// A key under which the batch keeps an answer, if it keeps any.
    private(set) var firstKeptKey: String?
    private var kept: [String: KeptAnswer]
    /// The versions of the streams up to the last event recorded.
    private var versions: [String: Int64]
    private let recordedAt: [UInt8]
    private var line = JSONWriter(capacity: 1024)

    fileprivate init(
        head: Head, recordedAt: Timestamp, decider: Decider, kept: [String: KeptAnswer]
    ) {
        start = head
        self.head = head
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
    private func place(of proposal: ProposedEvent) throws(Refusal) -> RecordedEvent? {
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
        guard case .append(let proposals) = submission.command else {
            let decision = try decider.decide(submission.command)
            return record(decision, of: submission, ids: &ids)
        }
        try refuseRepeatedIDs(proposals)
        var places: [RecordedEvent?] = []
        for proposal in proposals { places.append(try place(of: proposal)) }
        let new = zip(proposals, places).filter { $0.1 == nil }.map(\.0)
        var receipt = Receipt()
        if !new.isEmpty {
            let decision = try decider.decide(.append(new))
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

    private func refuseRepeatedIDs(_ proposals: [ProposedEvent]) throws(Refusal) {
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

    private mutating func keep(_ proposal: ProposedEvent, _ place: RecordedEvent) {
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
        for decided in decision.events {
            let recorded = record(decided, submission.context, ids: &ids)
            if case .assignmentMade(let made) = decided.event {
                assigned.append(
                    (
                        AssignmentKey(experiment: made.experiment, subject: made.subject),
                        Assignment(
                            variant: made.variant, cohort: made.cohort, u: made.u,
                            position: head.position)
                    ))
                // Answers say it all, and there may be thousands.
                if decision.proposed.isEmpty { continue }
            }
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
        let recorded = RecordedEvent(
            position: head.position + 1, id: decided.id ?? EventID(at: now, using: &ids),
            stream: stream, version: version(of: stream, decided.event), type: decided.event.type,
            data: decided.event.data)
        let correlation = decided.correlation ?? context.correlation
        line.bytes.removeAll(keepingCapacity: true)
        line.line(
            position: recorded.position, id: recorded.id, stream: stream,
            version: recorded.version, type: recorded.type, recordedAt: recordedAt,
            actor: context.actor, data: recorded.data, correlation: correlation)
        head.frontier.append(MerkleFrontier.leaf(line.bytes))
        head.position += 1
        head.recordedAt = now
        events.append(recorded, at: now, actor: context.actor, correlation: correlation)
        return recorded
    }

    /// The next version of a stream; an assignment's is its first, and not kept.
    private mutating func version(of stream: String, _ event: LedgerEvent) -> Int64 {
        if case .assignmentMade = event { return 1 }
        versions[stream, default: 0] += 1
        return versions[stream, default: 0]
    }
}
