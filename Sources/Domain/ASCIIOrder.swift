extension String {
    var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }
}

/// The order of texts of ASCII, without the tables that other letters need.
///
/// Letters compare first without their case; where that is all the same, the first difference of
/// case decides, lower case first. Control characters other than white space count for nothing.
func asciiPrecedes(_ left: String, _ right: String) -> Bool {
    var left = left.utf8.lazy.map(weight(of:)).filter { $0 != 0 }.makeIterator()
    var right = right.utf8.lazy.map(weight(of:)).filter { $0 != 0 }.makeIterator()
    var lowerCaseFirst = false
    var hasTie = true
    while true {
        switch (left.next(), right.next()) {
        case (nil, nil): return lowerCaseFirst
        case (nil, _?): return true
        case (_?, nil): return false
        case (let one?, let other?):
            if one >> 1 != other >> 1 { return one < other }
            if hasTie, one != other {
                hasTie = false
                lowerCaseFirst = one < other
            }
        }
    }
}

@inline(__always)
private func weight(of byte: UInt8) -> UInt8 { weights[Int(byte)] }

/// By byte: the rank without case, times two; plus one for upper case; 0 for what is ignored.
private let weights: [UInt8] = {
    var weights = [UInt8](repeating: 0, count: 128)
    let marks = "\t\n\u{B}\u{C}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"
    var rank: UInt8 = 0
    for byte in marks.utf8 {
        rank += 1
        weights[Int(byte)] = rank << 1
    }
    for byte in UInt8(ascii: "a")...UInt8(ascii: "z") {
        rank += 1
        weights[Int(byte)] = rank << 1
        weights[Int(byte - 0x20)] = rank << 1 | 1
    }
    return weights
}()
