import JSON

/// Decides commands one after the other against a state that evolves with them.
///
/// Pure: no clock, no randomness, no I/O. A refused command leaves the decider as it was.
package struct Decider: Sendable {
    /// The state after the events decided so far.
    package private(set) var state: State
    /// What the commands may meet beyond the state, as far as it exists.
    package internal(set) var facts: Facts
    /// The time that events decided now are recorded at.
    package let now: Timestamp
    /// The position that the next event will have.
    package private(set) var nextPosition: Int64

    private var decision = Decision()

    package init(
        state: State, facts: Facts = Facts(), now: Timestamp, nextPosition: Int64
    ) {
        self.state = state
        self.facts = facts
        self.now = now
        self.nextPosition = nextPosition
    }

    /// Turns a command into events, or says why not.
    package mutating func decide(_ command: Command) throws(Refusal) -> Decision {
        decision = Decision()
        // What happens to units validates before it records, so only the others need a way back.
        switch command {
        case .assign(let experiment, let subjects): try assign(experiment, subjects)
        case .assignSubject(let subject, let experiments): try assign(subject, experiments)
        case .assignSealed(let questions): try assign(questions)
        case .erase(let request): try erase(request)
        case .select(let request): try select(request)
        case .rollOut(let step, let request): try rollOut(step, request)
        case .score(let requests):
            try score(requests)
            // Each request became an event, in their order.
            decision.proposed = Array(decision.events.indices)
        case .retract(let request): try retract(request)
        case .apply, .step, .append, .createKey, .revokeKey, .webhook:
            let before = self
            do throws(Refusal) { try decideAtomically(command) } catch {
                self = before
                throw error
            }
        }
        defer { decision = Decision() }
        return decision
    }

    private mutating func decideAtomically(_ command: Command) throws(Refusal) {
        switch command {
        case .apply(let documents, let options): try apply(documents, options)
        case .step(let experiment, let step): try take(step, experiment)
        case .append(let proposals): try append(proposals)
        case .createKey(let key): try create(key)
        case .revokeKey(let id): try revokeKey(id)
        case .webhook(let id, let command): try change(id, command)
        case .assign, .assignSubject, .assignSealed, .erase, .select, .rollOut, .score, .retract:
            return
        }
    }

    // MARK: Recording

    var recorded: Int { decision.events.count }

    mutating func record(_ event: LedgerEvent) {
        if let (key, unplaced) = event.placed {
            var placement = unplaced
            placement.position = nextPosition
            place(key, placement)
            add(event, version: placement.version)
        } else {
            state.evolve(event, at: EventContext(position: nextPosition, recordedAt: now))
            add(event, version: event.declaredStep.flatMap { state.steps[$0]?.version })
        }
    }

    /// Records an event of a stream whose versions the state does not count.
    mutating func record(_ event: LedgerEvent, version: Int64, id: EventID? = nil) {
        add(event, version: version, id: id)
    }

    private mutating func add(_ event: LedgerEvent, version: Int64?, id: EventID? = nil) {
        decision.events.append(DecidedEvent(event: event, id: id, version: version))
        nextPosition += 1
    }

    /// Notes what a unit's place is from now on.
    mutating func place(_ key: UnitKey, _ placement: Placement) {
        facts.placements[key] = placement
        decision.placed.append((key, placement))
    }

    mutating func answer(_ answer: AssignmentAnswer) { decision.assignments.append(answer) }

    mutating func answer(_ resource: AppliedResource) { decision.resources.append(resource) }

    mutating func answer(_ selection: SelectionAnswer) { decision.selection = selection }

    /// Gives the event at an index of the decision, and those since `first` that go with it, what
    /// its proposal brought along.
    mutating func identify(_ index: Int, since first: Int, _ proposal: ProposedEvent) {
        decision.events[index].id = proposal.id
        for each in first..<decision.events.count {
            decision.events[each].correlation = proposal.correlation
        }
        decision.proposed.append(index)
    }

    func decidedEvent(_ index: Int) -> LedgerEvent { decision.events[index].event }
}

// MARK: Keys

extension Decider {
    fileprivate mutating func create(_ key: Key) throws(Refusal) {
        guard state.keys[key.id] == nil else {
            throw Refusal(.conflict, "There is a key \(key.id) already; choose another ID.")
        }
        record(.keyCreated(key))
    }

    fileprivate mutating func revokeKey(_ id: String) throws(Refusal) {
        guard let key = state.keys[id] else {
            throw Refusal(.notFound, "There is no key \(id); list them with ledger keys list.")
        }
        if key.revokedAt == nil { record(.keyRevoked(id: id)) }
    }
}
