import Domain
import Synchronization

/// What is committed, for everyone to read: the state, the head, and the variants cached.
///
/// The sequencer writes it after each commit and before it answers, so whoever got an answer reads
/// what it says.
package final class LedgerView: Sendable {
    private struct Contents {
        var state = State()
        var head = Head.empty
        var leader: String?
        var cache = PlacementCache()
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var waitersSoFar = 0
        var observer: @Sendable () -> Void = {}
        var isClosing = false
    }

    private let contents = Mutex(Contents())

    package init() {}

    /// The state, with the position up to which it is folded.
    package var snapshot: (state: State, position: Int64) {
        contents.withLock { ($0.state, $0.head.position) }
    }

    package var position: Int64 { contents.withLock { $0.head.position } }

    /// The end of the log as far as it is published.
    package var head: Head { contents.withLock { $0.head } }

    /// Where the node that leads is reached, as far as this one knows.
    package var leader: String? { contents.withLock { $0.leader } }

    func setLeader(_ url: String?) { contents.withLock { $0.leader = url } }

    /// Of the last event that changed a resource, a key or a webhook.
    package var changedPosition: Int64 { contents.withLock { $0.state.changedPosition } }

    /// The key with an ID, if there is one.
    package func key(_ id: String) -> Key? { contents.withLock { $0.state.keys[id] } }

    package var hasKeys: Bool { contents.withLock { !$0.state.keys.isEmpty } }

    package var cacheCount: Int { contents.withLock { $0.cache.count } }

    /// Who waits for a commit.
    package var waiterCount: Int { contents.withLock { $0.waiters.count } }

    // MARK: Variants of units

    /// The answers for subjects that need no event and no look-up; nil if any needs one.
    ///
    /// - Returns: nil also for an unknown experiment, whose refusal is the decider's to give, and for
    ///   one that seals its subjects.
    package func settled(
        _ experiment: ResourceID, _ subjects: [String]
    ) -> [AssignmentAnswer]? {
        contents.withLock { contents in
            guard let experiment = contents.state.experiments[experiment], !experiment.isSealed
            else { return nil }
            var answers: [AssignmentAnswer] = []
            answers.reserveCapacity(subjects.count)
            for subject in subjects {
                let existing =
                    experiment.status == .active
                    ? contents.cache.find(
                        UnitKey(experiment: experiment.id, subject: subject)) : nil
                guard let answer = experiment.answer(to: subject, existing: existing) else {
                    return nil
                }
                answers.append(answer)
            }
            return answers
        }
    }

    /// The same where some of the experiments seal their subjects.
    func settled(_ questions: [SealedQuestion]) -> [AssignmentAnswer]? {
        contents.withLock { contents in
            var answers: [AssignmentAnswer] = []
            for question in questions {
                guard let experiment = contents.state.experiments[question.experiment] else {
                    return nil
                }
                let existing =
                    experiment.status == .active ? contents.cache.find(question.unit) : nil
                guard let answer = experiment.answer(to: question.subject, existing: existing)
                else { return nil }
                answers.append(answer)
            }
            return answers
        }
    }

    /// What the log calls subjects of an experiment; none where it seals them.
    func plainUnits(_ experiment: ResourceID, _ subjects: [String]) -> [UnitKey] {
        let isSealed = contents.withLock { $0.state.experiments[experiment]?.isSealed ?? false }
        return isSealed ? [] : subjects.map { UnitKey(experiment: experiment, subject: $0) }
    }

    /// Whether some experiment seals its subjects.
    var sealsSubjects: Bool { contents.withLock { $0.state.sealsSubjects } }

    /// Of the last event that erased a subject.
    var erasedPosition: Int64 { contents.withLock { $0.state.erasedPosition } }

    /// A run's variant, if it is cached.
    func memoized(_ key: UnitKey) -> Placement? { contents.withLock { $0.cache.find(key) } }

    /// Adds the cached ones among units' variants to `found`.
    ///
    /// - Returns: the keys that are not cached.
    func cached(_ keys: [UnitKey], into found: inout [UnitKey: Placement]) -> [UnitKey] {
        found.reserveCapacity(found.count + keys.count)
        return contents.withLock { contents in
            var missing: [UnitKey] = []
            for key in keys {
                if let placement = contents.cache.find(key) {
                    found[key] = placement
                } else {
                    missing.append(key)
                }
            }
            return missing
        }
    }

    /// Keeps what was read from the database, unless a commit has said more since.
    func remember(_ placements: [UnitKey: Placement]) {
        contents.withLock { contents in
            for (key, placement) in placements {
                contents.cache.insert(unlessNewer: key, placement)
            }
        }
    }

    /// Forgets the variants that are cached: others have recorded what belongs to them.
    package func forgetPlacements() { contents.withLock { $0.cache = PlacementCache() } }

    // MARK: Publishing

    /// Makes a commit visible and wakes everyone who waits for one.
    package func publish(
        _ state: State, _ head: Head, placed: [(UnitKey, Placement)] = []
    ) {
        let (waiters, observer) = contents.withLock { contents in
            contents.state = state
            contents.head = head
            for (key, placement) in placed { contents.cache.insert(key, placement) }
            defer { contents.waiters = [:] }
            return (contents.waiters, contents.observer)
        }
        for waiter in waiters.values { waiter.resume() }
        observer()
    }

    /// Calls `action` after each commit, on the sequencer's thread: it must be quick.
    package func onCommit(_ action: @escaping @Sendable () -> Void) {
        contents.withLock { $0.observer = action }
    }

    /// Returns once the head is beyond a position, at the next ``wakeWaiters()``, or when closing.
    package func waitForCommit(beyond position: Int64) async {
        await withCheckedContinuation { _ = addWaiter($0, beyond: position) }
    }

    /// Waits for the head to be at a position or beyond; false where it is not after `patience`.
    package func wait(for position: Int64, patience: Duration) async -> Bool {
        let deadline = ContinuousClock.now + patience
        while self.position < position, !isClosing {
            let left = deadline - .now
            guard left > .zero else { return false }
            let alarm = Mutex<Task<Void, Never>?>(nil)
            await withCheckedContinuation { continuation in
                guard let waiter = addWaiter(continuation, beyond: position - 1) else { return }
                let task = Task {
                    // Cancelled or not, whoever waits looks at the clock himself.
                    try? await Task.sleep(for: left)
                    wake(waiter)
                }
                alarm.withLock { $0 = task }
            }
            // Many may wait long for what comes soon: nothing is to be left of that.
            alarm.withLock { $0 }?.cancel()
        }
        return self.position >= position
    }

    /// The number under which a continuation waits; nil where it was resumed at once.
    private func addWaiter(
        _ continuation: CheckedContinuation<Void, Never>, beyond position: Int64
    ) -> Int? {
        let number = contents.withLock { contents -> Int? in
            if contents.head.position > position || contents.isClosing { return nil }
            contents.waitersSoFar += 1
            contents.waiters[contents.waitersSoFar] = continuation
            return contents.waitersSoFar
        }
        if number == nil { continuation.resume() }
        return number
    }

    private func wake(_ waiter: Int) {
        contents.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume()
    }

    /// Whether waiting is over, because the ledger is being shut down.
    package var isClosing: Bool { contents.withLock { $0.isClosing } }

    /// Ends all waiting, now and from now on.
    package func beginClosing() {
        contents.withLock { $0.isClosing = true }
        wakeWaiters()
    }

    /// Lets everyone look up from waiting, to send a sign of life or to stop.
    package func wakeWaiters() {
        let waiters = contents.withLock { contents in
            defer { contents.waiters = [:] }
            return contents.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }
}
