import Domain

/// Decides when progress is kept, and of which endpoints: all that are due in one statement.
///
/// A row is written for ``eventsMin`` deliveries, or after ``Dispatcher/keepInterval`` where there
/// are fewer; only what an outage changes is written soon.
struct ProgressKeeper {
    /// Events that are worth a row.
    static let eventsMin = 500
    private static let pause = Duration.milliseconds(100)
    private static let pauseAfterFailure = Duration.seconds(1)

    private var waiting: [String: Endpoint] = [:]
    private var urgent: Set<String> = []
    private var changes = ProgressStore.Changes()
    /// What is being written, in case it fails.
    private var writing: (changes: ProgressStore.Changes, endpoints: [String: Endpoint])?
    private var notBefore = Timestamp(microseconds: 0)
    private var oldest: Timestamp?
    private var hasMany = false

    /// Notes that an endpoint has progress to keep.
    mutating func note(_ endpoint: Endpoint, isUrgent: Bool = false) {
        guard let since = endpoint.unkeptSince else { return }
        waiting[endpoint.id] = endpoint
        oldest = min(oldest ?? since, since)
        if endpoint.unkept >= Self.eventsMin { hasMany = true }
        if isUrgent { urgent.insert(endpoint.id) }
    }

    mutating func setAside(_ event: SetAside, _ endpoint: Endpoint) {
        changes.setAside.append(event)
        note(endpoint, isUrgent: true)
    }

    mutating func redelivered(_ webhook: String, _ position: Int64) {
        changes.redelivered.append((webhook, position))
    }

    /// - Parameter lane: nil for all that an endpoint has left.
    mutating func forget(_ webhook: String, lane: Int?) {
        if lane == nil {
            waiting[webhook] = nil
            urgent.remove(webhook)
            changes.drop(webhook)
            // Should that fail, nothing of it is written again.
            writing?.changes.drop(webhook)
            writing?.endpoints[webhook] = nil
        }
        changes.forgotten.append((webhook, lane))
    }

    /// When there will be something to write, if nothing happens until then.
    var nextTime: Timestamp? {
        guard writing == nil else { return nil }
        if !urgent.isEmpty || !changes.isEmpty || hasMany { return notBefore }
        return oldest.map { max(notBefore, $0 + Dispatcher.keepInterval) }
    }

    /// What is to be written now; nil if nothing is.
    mutating func due(_ now: Timestamp) -> ProgressStore.Changes? {
        guard let nextTime, nextTime <= now else { return nil }
        let due = waiting.filter { id, endpoint in
            urgent.contains(id) || endpoint.unkept >= Self.eventsMin
                || endpoint.unkeptSince.map { $0 + Dispatcher.keepInterval <= now } ?? false
        }
        return take(due, now)
    }

    /// All that is not kept yet, whatever is being written.
    mutating func everything(_ endpoints: some Sequence<Endpoint>) -> ProgressStore.Changes {
        let before = writing?.changes
        var all = take(
            Dictionary(uniqueKeysWithValues: endpoints.map { ($0.webhook.id, $0) }),
            Timestamp(microseconds: 0))
        // Writing the same rows twice does no harm.
        if let before { all.merge(before) }
        return all
    }

    private mutating func take(
        _ due: [String: Endpoint], _ now: Timestamp
    ) -> ProgressStore.Changes {
        var taken = changes
        taken.progress = due.values.flatMap { $0.takeProgress() }
        changes = ProgressStore.Changes()
        for id in due.keys { waiting[id] = nil }
        urgent = []
        oldest = waiting.values.compactMap(\.unkeptSince).min()
        hasMany = false
        notBefore = now + Self.pause
        writing = (taken, due)
        return taken
    }

    /// Notes that what was being written is.
    ///
    /// - Returns: the events whose rows are gone, as they were delivered once more.
    @discardableResult
    mutating func succeeded() -> [(webhook: String, position: Int64)] {
        defer { writing = nil }
        for endpoint in writing.map({ Array($0.endpoints.values) }) ?? [] {
            endpoint.progressWasKept()
        }
        return writing?.changes.redelivered ?? []
    }

    mutating func failed(_ now: Timestamp) {
        guard let writing else { return }
        self.writing = nil
        changes.merge(writing.changes)
        for (id, endpoint) in writing.endpoints {
            endpoint.progressWasNotKept(now)
            waiting[id] = endpoint
            urgent.insert(id)
            oldest = min(oldest ?? now, endpoint.unkeptSince ?? now)
        }
        notBefore = now + Self.pauseAfterFailure
    }
}

extension ProgressStore.Changes {
    /// Puts what was to be written before in front; progress itself is taken anew.
    fileprivate mutating func merge(_ earlier: ProgressStore.Changes) {
        setAside = earlier.setAside + setAside
        redelivered = earlier.redelivered + redelivered
        forgotten = earlier.forgotten + forgotten
    }

    /// Leaves out what an endpoint did not take, or took later.
    fileprivate mutating func drop(_ webhook: String) {
        setAside.removeAll { $0.webhook == webhook }
        redelivered.removeAll { $0.webhook == webhook }
    }
}
