import JSON

/// What the projections keep of an `AssignmentMade`, still in the bytes of its data.
///
/// Assignments are nearly all of the log, so they are not decoded like other events: the form in
/// which this program writes them is read by walking it once. Anything else that is valid, such as
/// an escape in a subject, takes the slower way through the scanner.
struct AssignmentFields {
    let experiment: UnsafeRawBufferPointer
    let subject: UnsafeRawBufferPointer
    let variant: UnsafeRawBufferPointer
    let cohort: Int32

    /// Lends the fields; they are valid inside `body` alone.
    static func read(
        _ data: UnsafeRawBufferPointer, _ body: (AssignmentFields) throws -> Void
    ) throws {
        if let fields = AssignmentFields(exactly: data) { return try body(fields) }
        try readAny(data, body)
    }

    /// Reads `{"experiment":"…","subject":"…","subjectType":"…","variant":"…","cohort":1,…`.
    private init?(exactly data: UnsafeRawBufferPointer) {
        var walk = Walk(bytes: data)
        guard walk.take(#"{"experiment":""#), let experiment = walk.text(),
            walk.take(#","subject":""#), let subject = walk.text(),
            walk.take(#","subjectType":""#), walk.text() != nil,
            walk.take(#","variant":""#), let variant = walk.text(),
            walk.take(#","cohort":"#), let cohort = walk.digits(), walk.take(#",""#)
        else { return nil }
        self.experiment = experiment
        self.subject = subject
        self.variant = variant
        self.cohort = cohort
    }

    private init(
        _ experiment: UnsafeBufferPointer<UInt8>, _ subject: UnsafeBufferPointer<UInt8>,
        _ variant: UnsafeBufferPointer<UInt8>, _ cohort: Int32
    ) {
        self.experiment = UnsafeRawBufferPointer(experiment)
        self.subject = UnsafeRawBufferPointer(subject)
        self.variant = UnsafeRawBufferPointer(variant)
        self.cohort = cohort
    }

    private static func readAny(
        _ data: UnsafeRawBufferPointer, _ body: (AssignmentFields) throws -> Void
    ) throws {
        var texts: [String: String] = [:]
        var cohort: Int64?
        var scanner = JSONScanner(data)
        try scanner.object { scanner, key throws(JSONError) in
            switch key {
            case "experiment", "subject", "variant": texts[key] = try scanner.string()
            case "cohort": cohort = try scanner.number().integer
            default: _ = try scanner.value()
            }
        }
        guard var experiment = texts["experiment"], var subject = texts["subject"],
            var variant = texts["variant"], let cohort = cohort.flatMap({ Int32(exactly: $0) })
        else { throw IncompleteAssignmentError() }
        try experiment.withUTF8 { experiment in
            try subject.withUTF8 { subject in
                try variant.withUTF8 { variant in
                    try body(AssignmentFields(experiment, subject, variant, cohort))
                }
            }
        }
    }
}

/// An `AssignmentMade` without one of the members that it must have.
struct IncompleteAssignmentError: Error, CustomStringConvertible {
    var description: String { "experiment, subject, variant or cohort is missing or malformed" }
}

/// Walks over bytes from the front.
private struct Walk {
    let bytes: UnsafeRawBufferPointer
    var offset = 0

    /// Passes over an expected text.
    @inline(__always)
    mutating func take(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.count - offset >= count else { return false }
        for index in 0..<count where bytes[offset + index] != text.utf8Start[index] {
            return false
        }
        offset += count
        return true
    }

    /// Passes over the rest of a string and its closing quote; nil if it holds an escape.
    @inline(__always)
    mutating func text() -> UnsafeRawBufferPointer? {
        let start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case UInt8(ascii: "\""):
                defer { offset += 1 }
                return UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
            case UInt8(ascii: "\\"): return nil
            default: offset += 1
            }
        }
        return nil
    }

    /// Reads one to nine digits.
    mutating func digits() -> Int32? {
        let start = offset
        var value: Int32 = 0
        while offset < bytes.count, case let digit = bytes[offset], (0x30...0x39).contains(digit) {
            guard offset - start < 9 else { return nil }
            value = value * 10 + Int32(digit - 0x30)
            offset += 1
        }
        return offset == start ? nil : value
    }
}
