import Domain
import EventLog
import JSON
import Postgres
import Synchronization

/// A stretch of the log in memory: lines as the feed has them, and what deliveries ask of each.
///
/// Shared by all endpoints that read it, and never changed.
package final class LogBlock: Sendable {
    /// An event of the block.
    struct Entry: Sendable {
        let position: Int64
        let id: EventID
        let recordedAt: Timestamp
        let stream: String
        /// An index into ``LedgerEvent/types``.
        let type: Int
        /// An index into ``LogBlock/scopes``.
        let scope: Int
        /// The same for events that must keep their order among each other.
        let key: UInt64
        /// Where the line is in ``LogBlock/lines``.
        let line: Range<Int>
    }

    /// The block holds everything after this position…
    let after: Int64
    /// …up to this one.
    let through: Int64
    let entries: [Entry]
    let lines: [UInt8]
    /// What the events are about, each once.
    let scopes: [EventScope]

    private static let allBytes = Atomic<Int>(0)

    private static let bytesEnough = 24 << 20

    /// Whether there are so many blocks in memory that nobody should read far ahead.
    static var isMemoryShort: Bool { allBytes.load(ordering: .relaxed) > bytesEnough }

    /// Bytes of the block, roughly.
    var byteCount: Int { lines.capacity + entries.capacity * 160 }

    package init(after: Int64, through: Int64, events: some Sequence<StoredEvent>) {
        var builder = Builder()
        for event in events { builder.add(event) }
        self.after = after
        self.through = through
        entries = builder.entries
        lines = builder.writer.bytes
        scopes = builder.scopes
        Self.allBytes.wrappingAdd(byteCount, ordering: .relaxed)
    }

    deinit { Self.allBytes.wrappingSubtract(byteCount, ordering: .relaxed) }

    /// The index of the first entry after a position.
    func firstIndex(after position: Int64) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].position <= position { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func event(_ index: Int) -> OutgoingEvent {
        let entry = entries[index]
        return OutgoingEvent(
            position: entry.position, id: entry.id, type: LedgerEvent.types[entry.type],
            stream: entry.stream, recordedAt: entry.recordedAt, line: lines[entry.line])
    }
}

extension LogBlock {
    /// Gathers events into the parts of a block.
    private struct Builder {
        var entries: [Entry] = []
        var writer = JSONWriter(capacity: 64 << 10)
        var scopes: [EventScope] = []
        private var scopeIndices: [EventScope: Int] = [:]

        mutating func add(_ event: StoredEvent) {
            guard let type = EventTypes.index(of: event.type) else { return }
            let start = writer.bytes.count
            // Lines are separated, as else the writer would put a comma.
            event.writeLine(to: &writer)
            let end = writer.bytes.count
            writer.newline()
            let parts = StreamParts(event.stream)
            entries.append(
                Entry(
                    position: event.position, id: event.id, recordedAt: event.recordedAt,
                    stream: event.stream, type: type, scope: index(of: parts.scope),
                    key: parts.key, line: start..<end))
        }

        private mutating func index(of scope: EventScope) -> Int {
            if let last = scopes.last, last == scope { return scopes.count - 1 }
            if let known = scopeIndices[scope] { return known }
            scopes.append(scope)
            scopeIndices[scope] = scopes.count - 1
            return scopes.count - 1
        }
    }
}

/// The types of events by their numbers.
enum EventTypes {
    private static let indices = Dictionary(
        uniqueKeysWithValues: zip(LedgerEvent.types, LedgerEvent.types.indices))

    static func index(of type: String) -> Int? { indices[type] }
}

/// What an event is about, as far as filters ask.
enum EventScope: Hashable {
    case other
    case lab(String)
    case experiment(String)
    case step(function: ExactText, name: ExactText)
}

/// What the name of a stream tells.
struct StreamParts {
    let scope: EventScope
    /// A hash of the subject, the run, or else the stream; events of one key keep their order.
    let key: UInt64

    init(_ stream: String) {
        var parts = stream.utf8.split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        if parts.first?.elementsEqual("unattributed".utf8) == true { parts.removeFirst() }
        func text(_ index: Int) -> String { StreamName.decodedPart(parts[index]) }
        switch (parts.first.map(Substring.init) ?? "", parts.count) {
        case ("assignment", 3):
            scope = .experiment(text(1))
            key = Self.hash(parts[2], kind: 1)
        case ("selection", 4):
            scope = .step(function: ExactText(text(1)), name: ExactText(text(2)))
            key = Self.hash(parts[3], kind: 2)
        case ("rollout", 4), ("step", 3):
            scope = .step(function: ExactText(text(1)), name: ExactText(text(2)))
            key = Self.hash(parts[2], kind: Self.hash(parts[1], kind: 3))
        case ("experiment", 2):
            scope = .experiment(text(1))
            key = Self.hash(stream.utf8, kind: 4)
        case ("lab", 2):
            scope = .lab(text(1))
            key = Self.hash(stream.utf8, kind: 4)
        default:
            scope = .other
            key = Self.hash(stream.utf8, kind: 4)
        }
    }

    /// FNV-1a, begun with a kind, so that a subject and a run of one name differ.
    ///
    /// Two keys that collide only wait for each other.
    private static func hash(_ bytes: some Sequence<UInt8>, kind: UInt64) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ kind
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}

/// Which events an endpoint gets.
struct EventMatcher {
    private let types: [Bool]
    private let filter: WebhookFilter
    private let experiments: [ResourceID: Experiment]

    /// - Parameter experiments: tell which lab an experiment belongs to.
    init(
        _ settings: WebhookSettings, encoder: any EventEncoder,
        experiments: [ResourceID: Experiment]
    ) {
        types = LedgerEvent.types.map { settings.selects(type: $0) && encoder.carries($0) }
        filter = settings.filter
        self.experiments = settings.filter.lab == nil ? [:] : experiments
    }

    /// Whether each entry of a block is selected, by its index.
    func selection(of block: LogBlock) -> (Int) -> Bool {
        guard !filter.isEmpty else { return { types[block.entries[$0].type] } }
        let scopes = block.scopes.map(selects)
        return { index in
            let entry = block.entries[index]
            return types[entry.type] && scopes[entry.scope]
        }
    }

    private func selects(_ scope: EventScope) -> Bool {
        switch scope {
        case .other: return false
        case .lab(let id):
            return filter.experiment == nil && filter.function == nil && filter.lab?.text == id
        case .experiment(let id):
            guard filter.function == nil else { return false }
            if let wanted = filter.experiment, wanted.uppercased() != id { return false }
            guard let lab = filter.lab else { return true }
            return ResourceID(id).flatMap { experiments[$0]?.lab } == lab
        case .step(let function, let name):
            guard filter.lab == nil else { return false }
            if let wanted = filter.function, !wanted.isExactly(function.text) { return false }
            return filter.experiment.map { $0.isExactly(name.text) } ?? true
        }
    }
}
