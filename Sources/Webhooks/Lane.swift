import DequeModule
import Domain
import HeapModule

/// An event on its way to an endpoint.
struct PendingEvent: Sendable {
    let block: LogBlock
    let index: Int

    var entry: LogBlock.Entry { block.entries[index] }
    var position: Int64 { entry.position }
    var key: UInt64 { entry.key }
    var byteCount: Int { entry.line.count }
}

extension PendingEvent: Comparable {
    static func == (left: PendingEvent, right: PendingEvent) -> Bool {
        left.position == right.position
    }

    static func < (left: PendingEvent, right: PendingEvent) -> Bool {
        left.position < right.position
    }
}

/// Events that are sent in one request, now and at every retry.
struct Batch: Sendable {
    /// Names the batch within its lane.
    let number: Int
    let positions: [Int64]
    /// Nothing while the batch waits for a retry: they are read again then.
    var events: [PendingEvent]
    /// The keys that the events have, each once.
    let keys: [UInt64]
    /// Attempts that failed.
    var attempts = 0
    /// Attempts that failed though the endpoint took others in the meantime.
    var refusals = 0
    /// The first attempt that failed.
    var failingSince: Timestamp?
    /// When the batch may be sent again while the endpoint takes others; nil is at once.
    var notBefore: Timestamp?

    /// When its first event was recorded.
    let recordedAt: Timestamp

    var isLoaded: Bool { !events.isEmpty }
}

/// One way of an endpoint through the log: what was read, what waits, what is in flight, and what
/// is done.
///
/// The log is read ahead of what is sent, and memory is bounded by that. Invariants:
/// - A position up to ``readThrough`` is done, or waits, or belongs to one batch.
/// - In mode `ordered-by-key` an event leaves only when no batch holds an earlier one of its key,
///   and what may leave does so in the order of the log.
/// - A batch keeps its events until it is done or halved, so each retry is the same request.
///
/// Pure: it knows no clock and no socket.
struct Lane: Sendable {
    private(set) var mode: DeliveryMode
    /// Where the lane ends, if it does.
    let end: Int64?
    /// Positions that need no more attention.
    private(set) var done: PositionRanges
    private(set) var readThrough: Int64

    /// Batches whose requests are in flight.
    private(set) var inFlight: [Int: Batch] = [:]
    /// Batches that wait to be sent once more, in the order of their first events.
    private(set) var frozen: [Batch] = []

    private var ready: Deque<PendingEvent> = []
    /// Events whose keys became free; among those that are ready there may be earlier ones and
    /// later ones.
    private var released: Heap<PendingEvent> = []
    /// Events that wait for earlier ones of their keys.
    private var waiting: [UInt64: [PendingEvent]] = [:]
    private var waitingCount = 0
    /// How many batches hold a key.
    private var busy: [UInt64: Int] = [:]
    /// Positions of batches that will be met when the log is read again from ``readThrough``.
    private var held: Set<Int64> = []
    private var nextNumber = 1

    /// Batches that wait for a retry at most, for one event more to be tried in their turn.
    private static let turnsMax = 16

    init(mode: DeliveryMode, done: PositionRanges, end: Int64? = nil) {
        self.mode = mode
        self.done = done
        self.end = end
        readThrough = done.through
    }

    /// Keeps another order from now on, among what is read from now on.
    mutating func change(to mode: DeliveryMode) {
        release()
        self.mode = mode
    }

    /// Events that were read and belong to no batch yet.
    var pendingCount: Int { ready.count + released.count + waitingCount }

    /// When the oldest event was recorded that waits or is in flight, as far as it is known.
    var oldest: Timestamp? {
        let waiting = [ready.first, released.min].compactMap { $0?.entry.recordedAt }
        return (waiting + frozen.map(\.recordedAt) + inFlight.values.map(\.recordedAt)).min()
    }

    /// Whether everything up to the end is done.
    var isComplete: Bool { end.map { done.through >= $0 } ?? false }

    /// Whether more should be read, to have `target` events at hand.
    func wantsEvents(target: Int) -> Bool {
        pendingCount <= target / 2 && (end.map { readThrough < $0 } ?? true)
    }

    // MARK: Reading

    /// Takes what follows from a block, until `target` events wait.
    mutating func read(
        _ block: LogBlock, target: Int, selects: (Int) -> Bool
    ) {
        guard block.after <= readThrough else { return }
        var index = block.firstIndex(after: readThrough)
        let last = min(block.through, end ?? .max)
        // Positions that nobody wants are done, a whole stretch at once.
        var passed = readThrough
        while index < block.entries.count, pendingCount < target {
            let position = block.entries[index].position
            if position > last { break }
            if selects(index), !isSettled(position) {
                if position - 1 > passed { done.insert((passed + 1)...(position - 1)) }
                passed = position
                add(PendingEvent(block: block, index: index))
            } else if held.contains(position) {
                if position - 1 > passed { done.insert((passed + 1)...(position - 1)) }
                passed = position
            }
            readThrough = position
            index += 1
        }
        if index == block.entries.count || block.entries[index].position > last {
            readThrough = max(readThrough, last)
        }
        if readThrough > passed { done.insert((passed + 1)...readThrough) }
        if !held.isEmpty, inFlight.isEmpty, frozen.isEmpty { held = [] }
    }

    private func isSettled(_ position: Int64) -> Bool {
        held.contains(position) || done.contains(position)
    }

    private mutating func add(_ event: PendingEvent) {
        if mode == .orderedByKey, busy[event.key] != nil {
            wait(event)
        } else {
            ready.append(event)
        }
    }

    private mutating func wait(_ event: PendingEvent) {
        var events = waiting[event.key] ?? []
        // Nearly always the last: events are read in order.
        var place = events.count
        while place > 0, events[place - 1].position > event.position { place -= 1 }
        events.insert(event, at: place)
        waiting[event.key] = events
        waitingCount += 1
    }

    /// Forgets what was read and is not in flight, to read it again later.
    mutating func release() {
        for index in frozen.indices { frozen[index].events = [] }
        let first =
            [ready.first, released.min].compactMap { $0?.position }
            + waiting.values.compactMap { $0.first?.position }
        guard let lowest = first.min() else { return }
        readThrough = lowest - 1
        ready = []
        released = []
        waiting = [:]
        waitingCount = 0
        let batches = frozen + inFlight.values
        held = Set(batches.flatMap(\.positions).filter { $0 > readThrough })
    }

    // MARK: Sending

    /// The next batch, which is then in flight; nil while there is none that may go.
    ///
    /// - Parameter takesTurns: lets what failed least often go first, so that one batch that the
    ///   endpoint can't digest does not pass for an endpoint that is down.
    mutating func next(
        countMax: Int, bytesMax: Int, takesTurns: Bool, now: Timestamp
    ) -> Batch? {
        if mode == .strict, !inFlight.isEmpty { return nil }
        let takesTurns = takesTurns && mode != .strict
        if let index = sendableFrozen(takesTurns: takesTurns, now) {
            if takesTurns, isTurnOfOthers(index),
                let new = form(countMax: 1, bytesMax: bytesMax)
            {
                return new
            }
            guard frozen[index].isLoaded else { return nil }
            let batch = frozen.remove(at: index)
            inFlight[batch.number] = batch
            return batch
        }
        if mode == .strict, !frozen.isEmpty { return nil }
        return form(countMax: countMax, bytesMax: bytesMax)
    }

    /// The positions of the batch that goes next, if they are to be read again before.
    func positionsToLoad(
        takesTurns: Bool, now: Timestamp
    ) -> (batch: Int, positions: [Int64])? {
        if mode == .strict, !inFlight.isEmpty { return nil }
        guard let index = sendableFrozen(takesTurns: takesTurns && mode != .strict, now),
            !frozen[index].isLoaded
        else { return nil }
        return (frozen[index].number, frozen[index].positions)
    }

    /// Gives a batch its events back, if the block has all of them.
    mutating func load(_ number: Int, from block: LogBlock) {
        guard let index = frozen.firstIndex(where: { $0.number == number }) else { return }
        let events = frozen[index].positions.compactMap { position in
            let entry = block.firstIndex(after: position - 1)
            guard entry < block.entries.count, block.entries[entry].position == position else {
                return PendingEvent?.none
            }
            return PendingEvent(block: block, index: entry)
        }
        if events.count == frozen[index].positions.count { frozen[index].events = events }
    }

    /// Whether something new is tried, as all that failed has failed more often than there is of it.
    private func isTurnOfOthers(_ leastFailed: Int) -> Bool {
        frozen.count < Self.turnsMax && frozen[leastFailed].attempts > frozen.count
    }

    /// When the next batch that waits for its own time may be sent again.
    func nextTime(after now: Timestamp) -> Timestamp? {
        frozen.compactMap(\.notBefore).filter { $0 > now }.min()
    }

    private func sendableFrozen(takesTurns: Bool, _ now: Timestamp) -> Int? {
        // While the endpoint is down, its own clock alone says when to try what.
        var order = frozen.indices.filter { index in
            takesTurns || mode == .strict || frozen[index].notBefore.map { $0 <= now } ?? true
        }
        if takesTurns { order.sort { (frozen[$0].attempts, $0) < (frozen[$1].attempts, $1) } }
        return order.first { index in
            guard mode == .orderedByKey else { return true }
            let keys = Set(frozen[index].keys)
            return !frozen[..<index].contains { !keys.isDisjoint(with: $0.keys) }
                && !inFlight.values.contains { !keys.isDisjoint(with: $0.keys) }
        }
    }

    /// Makes a batch of events that wait for nothing.
    private mutating func form(countMax: Int, bytesMax: Int) -> Batch? {
        var events: [PendingEvent] = []
        var keys: Set<UInt64> = []
        var bytes = 0
        while events.count < countMax, let event = firstReady {
            guard events.isEmpty || bytes + event.byteCount <= bytesMax else { break }
            if event == released.min { released.removeMin() } else { ready.removeFirst() }
            if mode == .orderedByKey {
                if !keys.contains(event.key), busy[event.key] != nil {
                    wait(event)
                    continue
                }
                keys.insert(event.key)
            }
            bytes += event.byteCount
            events.append(event)
        }
        guard !events.isEmpty else { return nil }
        for key in keys { busy[key, default: 0] += 1 }
        let batch = makeBatch(events, positions: events.map(\.position), keys: Array(keys))
        inFlight[batch.number] = batch
        return batch
    }

    /// The earliest event that waits for no other.
    private var firstReady: PendingEvent? {
        guard let released = released.min else { return ready.first }
        guard let ready = ready.first else { return released }
        return min(ready, released)
    }

    private mutating func makeBatch(
        _ events: [PendingEvent], positions: [Int64], keys: [UInt64],
        since: Timestamp = Timestamp(microseconds: 0)
    ) -> Batch {
        defer { nextNumber += 1 }
        return Batch(
            number: nextNumber, positions: positions, events: events, keys: keys,
            recordedAt: events.first?.entry.recordedAt ?? since)
    }

    /// Puts an event in the queue by itself, unless it is there or in flight.
    mutating func enqueue(_ position: Int64) {
        let isKnown =
            frozen.contains { $0.positions[0] == position }
            || inFlight.values.contains { $0.positions[0] == position }
        if !isKnown { frozen.append(makeBatch([], positions: [position], keys: [])) }
    }

    // MARK: Answers

    /// Settles a batch for good: it was delivered, or its event was set aside.
    @discardableResult
    mutating func settle(_ number: Int) -> Batch? {
        guard let batch = inFlight.removeValue(forKey: number) else { return nil }
        var start = 0
        while start < batch.positions.count {
            var last = start
            while last + 1 < batch.positions.count,
                batch.positions[last + 1] == batch.positions[last] + 1
            { last += 1 }
            done.insert(batch.positions[start]...batch.positions[last])
            start = last + 1
        }
        free(batch.keys)
        return batch
    }

    /// The waits of a batch that fails while the endpoint takes others, by how often it did.
    static let refusalDelays: [Duration] = [.zero, .seconds(5), .seconds(60)]

    /// Keeps a batch to be sent once more, the same events in one request.
    ///
    /// - Parameter isRefusal: whether the endpoint has taken others since its last attempt.
    mutating func freeze(_ number: Int, isRefusal: Bool, now: Timestamp) {
        guard var batch = inFlight.removeValue(forKey: number) else { return }
        batch.attempts += 1
        batch.failingSince = batch.failingSince ?? now
        if isRefusal {
            batch.notBefore =
                now + Self.refusalDelays[min(batch.refusals, Self.refusalDelays.count - 1)]
            batch.refusals += 1
        }
        batch.events = []
        insertFrozen(batch)
    }

    /// Splits a batch in two that are sent one after the other; the first half stands in front.
    ///
    /// The attempts of the whole count for the halves, too.
    ///
    /// - Parameter isLater: whether they wait for a retry, so that their events are read again.
    mutating func halve(_ number: Int, isLater: Bool = false) {
        guard let batch = inFlight.removeValue(forKey: number), batch.positions.count > 1 else {
            return
        }
        let middle = batch.positions.count / 2
        for range in [0..<middle, middle..<batch.positions.count] {
            let events = batch.isLoaded ? Array(batch.events[range]) : []
            // Without its events at hand a half is taken to hold all keys: that is only slower.
            let keys =
                events.isEmpty || mode != .orderedByKey
                ? batch.keys : Array(Set(events.map(\.key)))
            for key in keys { busy[key, default: 0] += 1 }
            var half = makeBatch(
                events, positions: Array(batch.positions[range]), keys: keys,
                since: batch.recordedAt)
            half.attempts = batch.attempts + 1
            half.refusals = batch.refusals
            half.failingSince = batch.failingSince
            if isLater { half.events = [] }
            insertFrozen(half)
        }
        free(batch.keys)
    }

    private mutating func insertFrozen(_ batch: Batch) {
        let place = frozen.firstIndex { $0.positions[0] > batch.positions[0] } ?? frozen.count
        frozen.insert(batch, at: place)
    }

    private mutating func free(_ keys: [UInt64]) {
        for key in keys {
            guard let count = busy[key] else { continue }
            if count > 1 {
                busy[key] = count - 1
                continue
            }
            busy.removeValue(forKey: key)
            guard let events = waiting.removeValue(forKey: key) else { continue }
            waitingCount -= events.count
            released.insert(contentsOf: events)
        }
    }
}
