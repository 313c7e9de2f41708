import Domain
import EventLog
import JSON
import Postgres

/// The fold that all projections come from, event by event in the order of the log.
///
/// It gathers what the events since ``clear()`` change: rows of assignments, ready for a COPY, how
/// many more subjects each arm has, and which resources are to be written anew. The same fold serves
/// the projector and a rebuild. A value: a copy taken before a transaction is what to go back to
/// when the transaction fails.
struct ProjectionFold: Sendable {
    /// The last event folded.
    private(set) var position: Int64
    private(set) var state: State
    /// Rows of ``ProjectionSchema/assignmentColumns``.
    private(set) var assignments = CopyRows()
    private(set) var counts = ArmCounts()
    private(set) var changed: Set<Resource>

    struct Resource: Sendable, Hashable {
        let kind: ResourceKind
        let id: ResourceID
    }

    /// The fold of nothing: what always exists has still to be written.
    init() {
        position = 0
        state = State()
        changed = Set(
            state.labs.keys.map { Resource(kind: .lab, id: $0) }
                + state.subjectTypes.keys.map { Resource(kind: .subjectType, id: $0) })
    }

    /// Goes on from a position whose rows are written.
    init(state: State, position: Int64) {
        self.position = position
        self.state = state
        changed = []
    }

    /// Folds the events after ``position`` up to another, as the connection reads them.
    ///
    /// `each` is called after each event; throwing, it ends the reading.
    mutating func read(
        through end: Int64, _ connection: Connection,
        each: (inout ProjectionFold) throws -> Void = { _ in }
    ) throws {
        if end <= position { return }
        try LogScan.read(
            "position, recorded_at, id, type, data", after: position, through: end, connection
        ) { position, fields in
            try fold(position, &fields)
            try each(&self)
        }
    }

    private mutating func fold(_ position: Int64, _ fields: inout CopyFields) throws {
        let recordedAt = fields.timestamp()
        let id = fields.bytes()
        let type = fields.bytes()
        let data = fields.bytes()
        do {
            if type.elementsEqual(Self.assignmentMade) {
                try AssignmentFields.read(data) { assignment in
                    add(assignment, position, id, recordedAt)
                }
            } else {
                let event = try LedgerEvent(
                    type: String(decoding: type, as: UTF8.self),
                    data: try JSONValue.parse(Array(data)))
                evolve(
                    event,
                    EventContext(
                        position: position, recordedAt: Timestamp(microseconds: recordedAt)))
            }
        } catch {
            throw UnreadableEventError(
                position: position, type: String(decoding: type, as: UTF8.self), cause: error)
        }
        self.position = position
    }

    private static let assignmentMade = Array("AssignmentMade".utf8)

    private mutating func add(
        _ fields: AssignmentFields, _ position: Int64, _ id: UnsafeRawBufferPointer,
        _ recordedAt: Int64
    ) {
        assignments.beginRow(columns: 7)
        assignments.int64(position)
        assignments.timestamp(recordedAt)
        assignments.bytes(id)
        assignments.int32(fields.cohort)
        assignments.bytes(fields.experiment)
        assignments.bytes(fields.subject)
        assignments.bytes(fields.variant)
        counts.count(fields, at: recordedAt)
    }

    private mutating func evolve(_ event: LedgerEvent, _ context: EventContext) {
        switch event {
        case .groupCreated(let kind, let group):
            changed.insert(Resource(kind: kind, id: group.id))
        case .groupUpdated(let kind, let id, _, _): changed.insert(Resource(kind: kind, id: id))
        case .experiment(let id, _, _): changed.insert(Resource(kind: .experiment, id: id))
        case .assignmentMade, .keyCreated, .keyRevoked: break
        }
        state.evolve(event, at: context)
    }

    /// Hands over the rows of assignments gathered so far.
    mutating func takeAssignments() -> CopyRows {
        defer { assignments = CopyRows(capacity: assignments.byteCount + 4_096) }
        return assignments
    }

    /// Forgets what is written.
    mutating func clear() {
        assignments = CopyRows()
        counts = ArmCounts()
        changed = []
    }
}

/// An event that this program can't read: it was changed in the database, or a newer program wrote
/// it.
package struct UnreadableEventError: Error, CustomStringConvertible {
    package let position: Int64
    package let type: String
    package let cause: any Error

    package var description: String {
        let reason =
            (cause as? EventDecodingError).map { "\($0.pointer): \($0.reason)" } ?? "\(cause)"
        return "event \(position), \(type), can't be read: \(reason)"
    }
}
