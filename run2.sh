export PYTHONPATH=$PWD/src OMP_NUM_THREADS=1
headstart targets nav_mixed --write > targets.log 2>&1
git add scenarios; git commit -qm "nav_mixed: targets from the level of the ten experts"
headstart tune nav_mixed pretrained --trials 1 > nav_pre.log 2>&1
