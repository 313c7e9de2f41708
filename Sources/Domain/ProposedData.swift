import JSON

/// What a client is told about the data of an event it proposes.
extension LedgerEvent {
    /// Members of the proposed data that this event has no place for: they would be lost.
    func unknownFields(in data: JSONValue) -> [Problem] {
        guard let known = try? JSONValue.parse(self.data) else { return [] }
        return Self.members(of: data, missingIn: known, "/data").map { pointer in
            Problem(pointer, "\(type) has no field \(pointer.dropFirst("/data/".count)).")
        }
    }

    /// Where proposed data says something else than the event.
    func contradictions(in data: JSONValue) -> [Problem] {
        guard let known = try? JSONValue.parse(self.data) else { return [] }
        return (data.object ?? []).compactMap { member in
            guard !member.value.isNull, let found = known[member.key],
                !found.agrees(with: member.value)
            else { return nil }
            let text = String(decoding: found.encoded, as: UTF8.self)
            return Problem("/data/\(member.key)", "The ledger finds \(text) here.")
        }
    }

    private static func members(
        of value: JSONValue, missingIn known: JSONValue, _ pointer: String
    ) -> [String] {
        switch (value, known) {
        case (.object(let members), .object):
            members.flatMap { member in
                let place = "\(pointer)/\(member.key)"
                guard let other = known[member.key] else { return member.isEmpty ? [] : [place] }
                return Self.members(of: member.value, missingIn: other, place)
            }
        case (.array(let elements), .array(let others)):
            zip(elements, others).enumerated().flatMap { index, pair in
                Self.members(of: pair.0, missingIn: pair.1, "\(pointer)/\(index)")
            }
        default: []
        }
    }

    /// Where in the proposed data a problem is that was found in the document or step it led to.
    func dataPointer(_ pointer: String) -> String {
        if pointer.hasPrefix("/data") { return pointer }
        switch self {
        case .groupCreated, .experiment(_, _, .created), .experiment(_, _, .activated),
            .experiment(_, _, .winnerDeclared), .experiment(_, _, .ended),
            .experiment(_, _, .archived), .experiment(_, _, .reopened):
            return "/data\(pointer)"
        case .experiment(_, _, .cohortAdded): return "/data/cohort\(pointer)"
        case .experiment(_, _, .variantAdded):
            return pointer.inside("/spec/variants").map { "/data/variant\($0)" } ?? "/data"
        case .experiment(_, _, .variantUpdated):
            return pointer.inside("/spec/variants").map { "/data/after\($0)" } ?? "/data"
        case .groupUpdated, .experiment(_, _, .updated), .experiment(_, _, .variantRemoved),
            .assignmentMade, .stepCreated, .definitionChanged, .variantSelected, .rolloutChanged,
            .scoreRecorded, .scoreRetracted, .subjectErased, .keyCreated, .keyRevoked, .webhook:
            return "/data"
        }
    }
}

extension JSONValue.Member {
    /// Whether leaving the member out would say the same.
    fileprivate var isEmpty: Bool {
        switch value {
        case .null, .string(""), .array([]), .object([]): true
        default: false
        }
    }
}

extension JSONValue {
    /// Whether the values mean the same, however numbers and times are written.
    fileprivate func agrees(with other: JSONValue) -> Bool {
        switch (self, other) {
        case (.number(let mine), .number(let theirs)): mine.double == theirs.double
        case (.string(let mine), .string(let theirs)):
            mine.isExactly(theirs) || Timestamp(mine).map { $0 == Timestamp(theirs) } ?? false
        default: self == other
        }
    }
}
