extension RootCollation {
    /// Reads the packed table.
    ///
    /// It is a list of numbers, in seven bits a byte from the lowest, more to come where the eighth
    /// is set: the primary weights of the first ideograph and of what is unassigned, the shapes of
    /// elements, the scalars with their shapes, their primary weights, the contractions, the order
    /// of the Han ideographs, the combining classes, the decompositions. A shape is the weights
    /// below the first level of all elements of a scalar. What is signed is the difference to the
    /// number before it in the same place, its sign in the lowest bit.
    init(packed text: String) {
        var reader = NumberReader(Unpacked.bytes(of: text))
        let firstIdeograph = UInt32(reader.next())
        unassigned = UInt32(reader.next())
        let shapes = reader.list { reader in
            reader.list { reader in UInt32(reader.next() << 5 | reader.next()) }
        }
        plain = shapes[0][0]
        readScalars(&reader, shapes)
        readIdeographs(&reader, first: firstIdeograph)
        decomposition = CanonicalDecomposition(&reader)
    }

    private mutating func set(_ entry: Entry, for scalar: UInt32) {
        let page = Int(scalar >> 8)
        if pages[page] == 0 {
            pages[page] = UInt16(entries.count >> 8)
            entries.append(contentsOf: repeatElement(.none, count: 256))
        }
        entries[Int(pages[page]) << 8 | Int(scalar & 0xFF)] = entry
    }

    private mutating func readScalars(_ reader: inout NumberReader, _ shapes: [[UInt32]]) {
        var scalar = 0
        let shaped = reader.list { reader in
            var shape = reader.next()
            // A number beyond the shapes says that scalars are left out, and how many.
            if shape == shapes.count {
                scalar += reader.next()
                shape = reader.next()
            }
            scalar += 1
            return (scalar: UInt32(scalar - 1), shape: shape)
        }
        var primaries = [Int](repeating: 0, count: 32)
        for (scalar, shape) in shaped {
            set(readElements(&reader, shapes[shape], &primaries), for: scalar)
        }
        var key = [0, 0, 0]
        for _ in 0..<reader.next() {
            let length = reader.next()
            for place in 0..<length { key[place] += reader.nextSigned() }
            let sequence = key[..<length].map { UInt32($0) }
            let shape = shapes[reader.next()]
            contractions[sequence] = readElements(&reader, shape, &primaries)
            contractionStarts.insert(sequence[0])
        }
    }

    private mutating func readElements(
        _ reader: inout NumberReader, _ shape: [UInt32], _ primaries: inout [Int]
    ) -> Entry {
        let start = elements.count
        for (place, lower) in shape.enumerated() {
            primaries[place] += reader.nextSigned()
            elements.append(UInt32(primaries[place]) << 14 | lower)
        }
        return Entry(start..<elements.count)
    }

    /// Runs of ideographs in their order, each from one of twelve blocks.
    ///
    /// A run's first number is the block, plus 12 if it does not start where the block's last run
    /// ended, plus 24 times its length less one; 9 stands for longer ones, whose length follows.
    private mutating func readIdeographs(_ reader: inout NumberReader, first: UInt32) {
        var blocks = reader.list { $0.next() }
        var primary = first
        for _ in 0..<reader.next() {
            let run = reader.next()
            let block = run % 12
            if run / 12 % 2 == 1 { blocks[block] += reader.nextSigned() }
            let length = run / 24 == 9 ? reader.next() + 10 : run / 24 + 1
            for _ in 0..<length {
                set(Entry(primary: primary), for: UInt32(blocks[block]))
                blocks[block] += 1
                primary += 1
            }
        }
    }
}

extension CanonicalDecomposition {
    fileprivate init(_ reader: inout NumberReader) {
        var scalar = 0
        for _ in 0..<reader.next() {
            scalar += reader.next()
            let count = reader.next()
            let combiningClass = UInt8(reader.next())
            for _ in 0..<count {
                combiningClasses[UInt32(scalar)] = combiningClass
                scalar += 1
            }
        }
        scalar = 0
        var parts = [0, 0, 0, 0]
        for _ in 0..<reader.next() {
            scalar += reader.next()
            let count = reader.next()
            for place in 0..<count { parts[place] += reader.nextSigned() }
            decompositions[UInt32(scalar)] = parts[..<count].map { UInt32($0) }
            scalar += 1
        }
    }
}

private struct NumberReader {
    private let bytes: [UInt8]
    private var place = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func nextByte() -> UInt8 {
        defer { place += 1 }
        return bytes[place]
    }

    mutating func nextBytes(_ count: Int) -> ArraySlice<UInt8> {
        defer { place += count }
        return bytes[place..<place + count]
    }

    mutating func next() -> Int {
        var number = 0
        var shift = 0
        while true {
            let byte = nextByte()
            number |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return number }
            shift += 7
        }
    }

    mutating func nextSigned() -> Int {
        let number = next()
        return number & 1 == 0 ? number >> 1 : -(number >> 1) - 1
    }

    /// A count, and as many of what `element` reads.
    mutating func list<T>(_ element: (inout NumberReader) -> T) -> [T] {
        let count = next()
        var list: [T] = []
        list.reserveCapacity(count)
        for _ in 0..<count { list.append(element(&self)) }
        return list
    }
}

/// How the table is compressed: copies of what came before instead of repetitions.
///
/// After the length of it all come blocks: a byte with the number of literal bytes in its upper
/// half and the number of copied ones, less four, in its lower; where that is 15, a number to add
/// follows. Then the literal bytes, and how far back the copy starts, less one.
private enum Unpacked {
    static func bytes(of text: String) -> [UInt8] {
        var packed = NumberReader(bytes(sixBits: text))
        let count = packed.next()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while true {
            let head = packed.nextByte()
            bytes.append(contentsOf: packed.nextBytes(length(head >> 4, &packed)))
            if bytes.count == count { return bytes }
            let copied = length(head & 15, &packed) + 4
            let start = bytes.count - packed.next() - 1
            for place in start..<start + copied { bytes.append(bytes[place]) }
        }
    }

    private static func length(_ half: UInt8, _ packed: inout NumberReader) -> Int {
        half == 15 ? 15 + packed.next() : Int(half)
    }

    private static func bytes(sixBits text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for byte in text.utf8 where byte >= UInt8(ascii: "0") {
            bits = bits << 6 | UInt32(byte - UInt8(ascii: "0"))
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return bytes
    }
}
