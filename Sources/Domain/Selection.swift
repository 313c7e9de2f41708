import Crypto

/// A subject's place in an experiment.
package struct Assignment: Sendable, Equatable {
    package var variant: ResourceID
    package var cohort: Int
    /// The number the draw fell on, in [0, 1].
    package var u: Double
    /// Of the `AssignmentMade` event; 0 before it has one.
    package var position: Int64

    package init(variant: ResourceID, cohort: Int, u: Double, position: Int64) {
        self.variant = variant
        self.cohort = cohort
        self.u = u
        self.position = position
    }
}

/// Why an answer is what it is.
package enum AssignmentReason: String, Sendable {
    case new = "NEW"
    case existing = "EXISTING"
    case winner = "WINNER"
    /// Asked to read only, and the subject has no variant.
    case notAssigned = "NOT_ASSIGNED"
    case notActive = "NOT_ACTIVE"
    case ended = "ENDED"
    case archived = "ARCHIVED"
    /// One of several experiments asked about does not exist.
    case notFound = "NOT_FOUND"
}

/// The number in [0, 1] that decides a subject's variant in a cohort.
///
/// The first 8 bytes, big-endian, of SHA-256 of `EXPERIMENT-ID/cohort index/subject`, over 2^64.
package func drawNumber(experiment: ResourceID, cohort: Int, subject: String) -> Double {
    var text = experiment.text
    text += "/"
    text += String(cohort)
    text += "/"
    text += subject
    let digest = text.withUTF8 { bytes in
        var hash = SHA256()
        hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        return hash.finalize()
    }
    let bits = digest.withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
    return Double(bits) * 0x1p-64
}

extension Cohort {
    /// Draws a subject's variant: the first whose cumulative split, over the true sum, exceeds `u`.
    ///
    /// Where rounding leaves `u` beyond the last sum, the last variant with a split takes it.
    package func draw(experiment: ResourceID, subject: String) -> Assignment {
        let u = drawNumber(experiment: experiment, cohort: index, subject: subject)
        return Assignment(variant: variant(at: u), cohort: index, u: u, position: 0)
    }

    package func variant(at u: Double) -> ResourceID {
        let total = splits.reduce(0) { $0 + $1.split }
        var cumulative = 0.0
        var last = splits[0].variant
        for split in splits where split.split > 0 {
            cumulative += split.split / total
            last = split.variant
            if u < cumulative { break }
        }
        return last
    }
}
