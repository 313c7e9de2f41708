/// Unicode's normalisation form D.
struct CanonicalDecomposition: Sendable {
    /// Of scalars whose class is not 0.
    var combiningClasses: [UInt32: UInt8] = [:]
    /// In full, of all scalars that have one but the Hangul syllables.
    var decompositions: [UInt32: [UInt32]] = [:]

    func combiningClass(of scalar: UInt32) -> UInt8 { combiningClasses[scalar, default: 0] }

    func scalars(of text: String) -> [UInt32] {
        var scalars: [UInt32] = []
        for scalar in text.unicodeScalars { append(scalar.value, to: &scalars) }
        order(&scalars)
        return scalars
    }

    private func append(_ scalar: UInt32, to scalars: inout [UInt32]) {
        if (0xAC00..<0xD7A4).contains(scalar) {
            let syllable = scalar - 0xAC00
            scalars.append(0x1100 + syllable / 588)
            scalars.append(0x1161 + syllable % 588 / 28)
            if syllable % 28 != 0 { scalars.append(0x11A7 + syllable % 28) }
        } else if scalar >= 0xC0, let decomposition = decompositions[scalar] {
            scalars.append(contentsOf: decomposition)
        } else {
            scalars.append(scalar)
        }
    }

    /// Sorts each run of marks by class; those of one class stay as they are.
    private func order(_ scalars: inout [UInt32]) {
        for place in scalars.indices {
            let moved = scalars[place]
            let combiningClass = combiningClass(of: moved)
            if combiningClass == 0 { continue }
            var hole = place
            while hole > 0, self.combiningClass(of: scalars[hole - 1]) > combiningClass {
                scalars[hole] = scalars[hole - 1]
                hole -= 1
            }
            scalars[hole] = moved
        }
    }
}
