// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A token for tests: OpenZeppelin's ERC-20, all of which belongs to who deploys it.
contract Token is ERC20 {
    uint8 private immutable digits;

    constructor(string memory name, uint8 digits_) ERC20(name, name) {
        digits = digits_;
        _mint(msg.sender, 10 ** 12 * 10 ** uint256(digits_));
    }

    function decimals() public view override returns (uint8) {
        return digits;
    }
}
