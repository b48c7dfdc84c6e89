// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// What FilecoinPayV1 does for one-time payments, written for tests from its published
/// interface and its guide: no rates, no validators, no commissions, no settling. It is not
/// FilecoinPayV1, and none of its code.
contract PayStandIn {
    struct RailView {
        address token;
        address from;
        address to;
        address operator;
        address validator;
        uint256 paymentRate;
        uint256 lockupPeriod;
        uint256 lockupFixed;
        uint256 settledUpTo;
        uint256 endEpoch;
        uint256 commissionRateBps;
        address serviceFeeRecipient;
    }

    struct Approval {
        bool approved;
        uint256 lockupAllowance;
        uint256 lockupUsage;
    }

    event RailCreated(
        uint256 indexed railId,
        address indexed payer,
        address indexed payee,
        address token,
        address operator,
        address validator,
        address serviceFeeRecipient,
        uint256 commissionRateBps
    );
    event RailOneTimePaymentProcessed(
        uint256 indexed railId, uint256 netPayeeAmount, uint256 operatorCommission, uint256 networkFee
    );

    uint256 public constant NETWORK_FEE_NUMERATOR = 1;
    uint256 public constant NETWORK_FEE_DENOMINATOR = 200;

    mapping(address token => mapping(address owner => uint256)) public funds;
    mapping(address token => mapping(address owner => uint256)) public locked;
    mapping(address token => mapping(address payer => mapping(address operator => Approval))) private approvals;
    mapping(uint256 id => RailView) private rails;
    uint256 private last;

    modifier onlyOperator(uint256 id) {
        require(rails[id].operator == msg.sender, "not the operator of the rail");
        _;
    }

    function deposit(address token, address to, uint256 amount) external payable {
        funds[token][to] += amount;
        require(IERC20(token).transferFrom(msg.sender, address(this), amount), "nothing was transferred");
    }

    function setOperatorApproval(
        address token,
        address operator,
        bool approved,
        uint256,
        uint256 lockupAllowance,
        uint256
    ) external {
        approvals[token][msg.sender][operator].approved = approved;
        approvals[token][msg.sender][operator].lockupAllowance = lockupAllowance;
    }

    function createRail(
        address token,
        address from,
        address to,
        address validator,
        uint256 commissionRateBps,
        address serviceFeeRecipient
    ) external returns (uint256 id) {
        require(approvals[token][from][msg.sender].approved, "the operator is not approved");
        id = ++last;
        RailView storage rail = rails[id];
        (rail.token, rail.from, rail.to, rail.operator) = (token, from, to, msg.sender);
        (rail.validator, rail.commissionRateBps, rail.serviceFeeRecipient) =
            (validator, commissionRateBps, serviceFeeRecipient);
        emit RailCreated(id, from, to, token, msg.sender, validator, serviceFeeRecipient, commissionRateBps);
    }

    function terminateRail(uint256 id) external {
        require(msg.sender == rails[id].operator || msg.sender == rails[id].from, "neither operator nor payer");
        rails[id].endEpoch = block.number + rails[id].lockupPeriod;
    }

    function getRail(uint256 id) external view returns (RailView memory) {
        require(rails[id].from != address(0), "there is no such rail");
        return rails[id];
    }

    function modifyRailLockup(uint256 id, uint256 period, uint256 fixedLockup) external onlyOperator(id) {
        RailView storage rail = rails[id];
        Approval storage approval = approvals[rail.token][rail.from][msg.sender];
        uint256 old = rail.lockupFixed;
        if (fixedLockup > old) {
            approval.lockupUsage += fixedLockup - old;
            require(approval.lockupUsage <= approval.lockupAllowance, "the operator may not lock up as much");
        } else {
            approval.lockupUsage -= old - fixedLockup;
        }
        locked[rail.token][rail.from] = locked[rail.token][rail.from] - old + fixedLockup;
        require(locked[rail.token][rail.from] <= funds[rail.token][rail.from], "the payer has deposited too little");
        (rail.lockupPeriod, rail.lockupFixed) = (period, fixedLockup);
    }

    function modifyRailPayment(uint256 id, uint256 rate, uint256 amount) external onlyOperator(id) {
        RailView storage rail = rails[id];
        require(rate == rail.paymentRate, "there are no rates here");
        require(rail.endEpoch == 0 || block.number < rail.endEpoch, "the rail has ended");
        require(amount <= rail.lockupFixed, "more than is locked up");
        if (amount == 0) return;
        Approval storage approval = approvals[rail.token][rail.from][msg.sender];
        approval.lockupUsage -= amount;
        approval.lockupAllowance -= amount < approval.lockupAllowance ? amount : approval.lockupAllowance;
        rail.lockupFixed -= amount;
        locked[rail.token][rail.from] -= amount;
        funds[rail.token][rail.from] -= amount;
        uint256 fee = (amount + NETWORK_FEE_DENOMINATOR - 1) / NETWORK_FEE_DENOMINATOR;
        funds[rail.token][address(this)] += fee;
        funds[rail.token][rail.to] += amount - fee;
        emit RailOneTimePaymentProcessed(id, amount - fee, 0, fee);
    }
}
