/// The ID of a lab, subject type, experiment or variant: letters, digits, `-`, `_`, `.`; upper case.
package struct ResourceID: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let text: String
    package var description: String { text }

    /// Nil unless the text is 1 to 128 of the allowed characters; lower case is raised.
    package init?(_ text: String) {
        let utf8 = text.utf8
        guard (1...Limits.resourceIDBytesMax).contains(utf8.count) else { return nil }
        var needsRaising = false
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                continue
            case UInt8(ascii: "a")...UInt8(ascii: "z"): needsRaising = true
            default: return nil
            }
        }
        self.text = needsRaising ? text.uppercased() : text
    }

    private init(known text: String) { self.text = text }

    package static let defaultLab = ResourceID(known: "DEFAULT")
    package static let anySubjectType = ResourceID(known: "ANY")

    package static func < (left: ResourceID, right: ResourceID) -> Bool { left.text < right.text }

    /// What an ID may be, as an error message says it.
    package static let rule =
        "use 1 to \(Limits.resourceIDBytesMax) letters, digits, '-', '_' or '.'"
}

/// Whether a text can be a subject's ID: 1 to 512 bytes of UTF-8.
package func isValidSubject(_ subject: String) -> Bool {
    (1...Limits.subjectBytesMax).contains(subject.utf8.count) && !subject.utf8.contains(0)
}

/// Whether a text can be the name of a function, a step experiment or one of its variants.
package func isValidStepName(_ name: String) -> Bool {
    (1...Limits.stepNameBytesMax).contains(name.utf8.count) && !name.utf8.contains(0)
}

/// What such a name may be, as an error message says it.
package let stepNameRule =
    "1 to \(Limits.stepNameBytesMax) bytes of UTF-8 without U+0000"

/// The names of streams. `/` and `%` inside a part are percent-encoded.
package enum StreamName {
    package static func lab(_ id: ResourceID) -> String { "lab/\(id.text)" }
    package static func subjectType(_ id: ResourceID) -> String { "subjecttype/\(id.text)" }
    package static func experiment(_ id: ResourceID) -> String { "experiment/\(id.text)" }
    package static func key(_ id: String) -> String { "key/\(encoded(id))" }
    package static func webhook(_ id: String) -> String { "webhook/\(id)" }
    /// Of a sealed subject's own events.
    package static func subject(_ token: String) -> String { "subject/\(token)" }

    package static func assignment(_ experiment: ResourceID, _ subject: String) -> String {
        "assignment/\(experiment.text)/\(encoded(subject))"
    }

    /// The prefix of all assignment streams of an experiment.
    package static func assignments(of experiment: ResourceID) -> String {
        "assignment/\(experiment.text)/"
    }

    package static func step(_ step: StepKey) -> String { "step/\(encoded(step))" }

    package static func selection(_ step: StepKey, _ run: String) -> String {
        "selection/\(encoded(step))/\(encoded(run))"
    }

    /// The prefix of all selection streams of an experiment.
    package static func selections(of step: StepKey) -> String { "selection/\(encoded(step))/" }

    package static func rollout(_ step: StepKey, _ key: String) -> String {
        "rollout/\(encoded(step))/\(encoded(key))"
    }

    /// The prefix of all streams of an experiment's rollout table.
    package static func rollouts(of step: StepKey) -> String { "rollout/\(encoded(step))/" }

    /// Scores of a unit that has no variant.
    package static func unattributed(_ unit: UnitKey) -> String { "unattributed/\(unit.stream)" }

    /// The prefix of the streams of unattributed scores of an experiment.
    package static func unattributed(of experiment: ExperimentKey) -> String {
        switch experiment {
        case .managed(let id): "unattributed/\(assignments(of: id))"
        case .step(let step): "unattributed/\(selections(of: step))"
        }
    }

    private static func encoded(_ step: StepKey) -> String {
        "\(encoded(step.function))/\(encoded(step.name))"
    }

    /// A part of a stream's name, as it stands there.
    package static func encodedPart(_ part: String) -> String { encoded(part) }

    /// What a part of a stream's name stands for.
    package static func decodedPart(_ part: some Collection<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = part[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            // Only these two are ever encoded: `%2F` and `%25`.
            bytes.append(rest.dropFirst().first == UInt8(ascii: "F") ? UInt8(ascii: "/") : byte)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Streams whose events make up the state that decisions need in memory.
    package static let statePrefixes = [
        "lab/", "subjecttype/", "experiment/", "step/", "key/", "webhook/", "subject/",
    ]

    private static func encoded(_ part: String) -> String {
        guard part.utf8.contains(where: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "%") })
        else { return part }
        var bytes: [UInt8] = []
        for byte in part.utf8 {
            switch byte {
            case UInt8(ascii: "/"): bytes.append(contentsOf: "%2F".utf8)
            case UInt8(ascii: "%"): bytes.append(contentsOf: "%25".utf8)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
